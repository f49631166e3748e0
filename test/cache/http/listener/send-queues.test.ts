import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { nameOf, openSendQueues, parseSendQueues } from '#cache/http/listener/send-queues.ts';

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:8B53 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1400684 1 0 100 0 0 10 0
  10: 0100007F:1F90 0200000A:C350 01 0026A5C0:00000010 01:00000014 00000000     0        0 1400685 2 0 20 4 30 10 -1
`;
const TABLE_6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 0000000000000000FFFF00000100007F:A4BF 0000000000000000FFFF00000100007F:C350 01 00000001:00000000 00:0 0 0
   1: B80D0120000000000000000001000000:20FB B80D0120000000000000000002000000:C350 01 00000100:00000000 00:0 0 0
`;
/** A line of the kernel for 2001:db8::1 and ::2, port 8443 and 50000. */
const ends = (localAddress: string, localPort: number, remoteAddress: string, remotePort = 50_000) => ({
  localAddress,
  localPort,
  remoteAddress,
  remotePort,
});

describe('the unacknowledged bytes of a connection', () => {
  const queues = parseSendQueues(TABLE + TABLE_6);
  test.each([
    ['IPv4', ends('127.0.0.1', 8080, '10.0.0.2'), 0x26a5c0],
    ['IPv4 on an IPv6 socket', ends('::ffff:127.0.0.1', 42_175, '::ffff:127.0.0.1'), 1],
    ['IPv6', ends('2001:db8::1', 8443, '2001:db8::2'), 256],
    ['IPv6 with a zone', ends('2001:db8::1%eth0', 8443, '2001:db8::2%eth0'), 256],
    ['a connection that is not listed', ends('127.0.0.1', 8080, '10.0.0.3'), undefined],
  ])('%s', (_, socket, bytes) => {
    expect(queues.get(nameOf(socket) ?? '')).toBe(bytes);
  });

  test('a closed socket has no name', () => {
    expect(nameOf({})).toBeUndefined();
  });
});

test('all calls within a second share one read of the tables', async () => {
  const reads: string[] = [];
  const unackedBytes = openSendQueues({
    readTable(path) {
      reads.push(path);
      return Promise.resolve(path.endsWith('6') ? TABLE_6 : TABLE);
    },
  });
  const socket = ends('127.0.0.1', 8080, '10.0.0.2') as Socket;
  const other = ends('2001:db8::1', 8443, '2001:db8::2') as Socket;
  expect(await Promise.all([unackedBytes(socket), unackedBytes(other)])).toEqual([0x26a5c0, 256]);
  expect(reads).toEqual(['/proc/net/tcp', '/proc/net/tcp6']);
});

test('without the tables the number is unknown', async () => {
  const unackedBytes = openSendQueues({ readTable: () => Promise.reject(new Error('ENOENT')) });
  expect(await unackedBytes(ends('127.0.0.1', 8080, '10.0.0.2') as Socket)).toBeUndefined();
});

test('real connections over IPv4 and IPv6 have a number', async () => {
  const server = createServer();
  onTestFinished(() => void server.close());
  server.listen(0, '::');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  for (const host of ['127.0.0.1', '::1']) {
    const client = createConnection({ host, port });
    const [accepted] = (await once(server, 'connection')) as [Socket];
    expect(await openSendQueues()(accepted)).toBe(0);
    client.destroy();
    accepted.destroy();
  }
});
