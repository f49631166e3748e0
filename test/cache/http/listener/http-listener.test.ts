import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { openHttpListener } from '#cache/http/listener/http-listener.ts';

async function open(): Promise<{ client: Socket; fail: (code: string) => void }> {
  const listener = openHttpListener((_request, response) => void response.end('ok'));
  onTestFinished(async () => {
    await listener.drain(AbortSignal.abort());
  });
  const port = await listener.listen('127.0.0.1', 0);
  const connected = once(listener.server, 'connection');
  const client = connect(port, '127.0.0.1');
  const [accepted] = (await connected) as [Socket];
  const fail = (code: string): void => {
    listener.server.emit('clientError', Object.assign(new Error(code), { code }), accepted);
  };
  return { client, fail };
}

test('a late request is reset without a response, so that SDKs retry it', async () => {
  const { client, fail } = await open();
  fail('ERR_HTTP_REQUEST_TIMEOUT');
  expect(await text(client)).toBe('');
});

test.for([
  ['HPE_HEADER_OVERFLOW', /^HTTP\/1\.1 431 /],
  ['HPE_INVALID_METHOD', /^HTTP\/1\.1 400 /],
] as const)('%s is answered', async ([code, answer]) => {
  const { client, fail } = await open();
  fail(code);
  expect(await text(client)).toMatch(answer);
});

test('a malformed request gets 400, and its connection is closed', async () => {
  const { client } = await open();
  client.write('rubbish\r\n\r\n');
  expect(await text(client)).toMatch(/^HTTP\/1\.1 400 /);
});

test('a head larger than the longest key needs gets 431', async () => {
  const { client } = await open();
  client.write(`GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`);
  expect(await text(client)).toMatch(/^HTTP\/1\.1 431 /);
});
