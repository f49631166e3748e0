/**
 * A peer as a process of its own, with a real liveness thread: `node liveness-peer.ts`, over IPC. It answers the call
 * `commit` with `none`, and blocks its main loop before that for as long as a message says.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { openLivenessThread } from '#cache/peers/heartbeat/liveness-thread.ts';
import { systemClock } from '#shared/clock.ts';
import { openLog } from '#shared/log.ts';

export interface PeerOrder {
  /** Block the main loop before the next answer. */
  readonly blockMs?: number;
  /** Answer no call, with a main loop that turns. */
  readonly mute?: boolean;
  /** End the liveness thread, as if it had failed. */
  readonly endThread?: boolean;
}

let order: PeerOrder = {};
const server = createServer((_request, response) => {
  if (order.mute === true) return;
  const endMs = performance.now() + (order.blockMs ?? 0);
  while (performance.now() < endMs);
  response.writeHead(204, { 'x-orca-chunk': 'none' }).end();
});
await new Promise<void>((resolve) => {
  server.listen(0, '127.0.0.1', resolve);
});
const { port } = server.address() as AddressInfo;
const thread = openLivenessThread({
  self: () => `127.0.0.1:${port}`,
  keys: () => undefined,
  clock: systemClock,
  log: openLog({ name: 'liveness-peer', level: 'warn' }),
});
thread.listen('127.0.0.1', port);
while (thread.state !== 'listening') await delay(10);
process.on('message', (next: PeerOrder) => {
  order = next;
  const ended = next.endThread === true ? thread.close() : Promise.resolve();
  void ended.then(() => process.send?.('done'));
});
process.on('disconnect', () => process.exit(0));
process.send?.(port);
