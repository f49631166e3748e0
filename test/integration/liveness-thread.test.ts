/** The liveness thread and the pinger over real UDP sockets: keys that change, and a port that is taken. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import type { PeerKeys } from '#cache/core/peer/auth.ts';
import { peerAddress } from '#cache/core/peer-set.ts';
import { openLivenessThread, type LivenessThread } from '#cache/peers/heartbeat/liveness-thread.ts';
import { openUdpPinger } from '#cache/peers/heartbeat/pinger.ts';
import { systemClock } from '#shared/clock.ts';
import { openLog } from '#shared/log.ts';
import { freePort } from '#hack/lab/free-ports.ts';

const OLD = new Uint8Array(32).fill(1);
const NEW = new Uint8Array(32).fill(2);

function startThread(port: number, keys: () => PeerKeys | undefined): LivenessThread {
  const thread = openLivenessThread({
    self: () => `127.0.0.1:${port}`,
    keys,
    clock: systemClock,
    log: openLog({ name: 'liveness', level: 'error' }),
  });
  onTestFinished(() => thread.close());
  thread.listen('127.0.0.1', port);
  return thread;
}

/** Whether one of a few pings is answered. */
async function isAnswered(port: number, keys: PeerKeys): Promise<boolean> {
  let answers = 0;
  const line = openUdpPinger(() => keys).open(peerAddress('127.0.0.1', port), {
    onAnswer: () => (answers += 1),
    onRefused: () => {},
    onUnsent: () => {},
  });
  for (let ping = 0; ping < 5 && answers === 0; ping += 1) {
    line.ping();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  line.close();
  return answers > 0;
}

test('keys change while the thread runs: both are accepted in the overlap, and only the new one after it', async () => {
  const port = await freePort();
  let keys: PeerKeys = { current: OLD, previous: undefined };
  const thread = startThread(port, () => keys);
  await expect.poll(() => thread.state, { timeout: 10_000 }).toBe('listening');
  expect(await isAnswered(port, { current: OLD, previous: undefined })).toBe(true);
  expect(await isAnswered(port, { current: NEW, previous: undefined })).toBe(false);
  keys = { current: NEW, previous: OLD };
  await expect.poll(() => isAnswered(port, { current: NEW, previous: undefined }), { timeout: 10_000 }).toBe(true);
  expect(await isAnswered(port, { current: OLD, previous: undefined })).toBe(true);
  keys = { current: NEW, previous: undefined };
  await expect.poll(() => isAnswered(port, { current: OLD, previous: undefined }), { timeout: 10_000 }).toBe(false);
  expect(await isAnswered(port, { current: NEW, previous: undefined })).toBe(true);
});

test('a thread whose port is taken is started again until the port is free', async () => {
  const port = await freePort();
  const other = createSocket('udp4').bind({ port, address: '127.0.0.1', exclusive: true });
  await once(other, 'listening');
  const thread = startThread(port, () => undefined);
  await expect.poll(() => thread.state, { timeout: 10_000 }).toBe('waiting');
  other.close();
  await expect.poll(() => thread.state, { timeout: 10_000 }).toBe('listening');
});
