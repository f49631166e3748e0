import { expect, test } from 'vitest';
import { openHostClients } from '#cache/wire/http1/host-clients.ts';

test('keeps a client for each of the hosts that were used last, at most 256', () => {
  const clients = openHostClients({ protocol: 'http:', secureContext: undefined });
  const first = clients.of('bucket-0.test');
  const second = clients.of('bucket-1.test');
  for (let index = 2; index < 256; index++) void clients.of(`bucket-${index}.test`);
  expect(clients.of('bucket-0.test')).toBe(first);
  void clients.of('one-more.test');
  expect(clients.of('bucket-0.test')).toBe(first);
  expect(clients.of('bucket-1.test')).not.toBe(second);
  clients.close();
});
