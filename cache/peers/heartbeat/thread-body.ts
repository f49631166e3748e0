/**
 * The program of the liveness thread: it responds to pings, whatever the main loop does.
 *
 * It runs the text of these functions, so they must not refer to anything outside themselves: a file of its own would load
 * the TypeScript loader, for 16 MiB instead of 7 (docs/adr/0022-file-threads.md). Nothing is read from a disk.
 */
import type * as Crypto from 'node:crypto';
import type * as Dgram from 'node:dgram';
import type * as Threads from 'node:worker_threads';
import type { PeerKeys } from '#cache/core/peer/auth.ts';
import { heartbeatCodec } from '#cache/core/peer/heartbeat.ts';

/** Places in the shared memory: times by `monotonicMs`. */
export const MAIN_TURNED = 0;
export const THREAD_TURNED = 1;
export const SHARED_BYTES = 2 * Int32Array.BYTES_PER_ELEMENT;

export interface LivenessThreadData {
  readonly shared: SharedArrayBuffer;
  /** Those of the peer listener; the ports of UDP are other ones than those of TCP. */
  readonly host: string;
  readonly port: number;
  /** `ip:port` by which the other replicas know this one. */
  readonly self: string;
  readonly keys: PeerKeys | undefined;
  readonly maxPerSecond: number;
}

/** New keys. */
export interface LivenessThreadMessage {
  readonly keys: PeerKeys | undefined;
}

export type LivenessThreadEvent = { readonly event: 'listening' } | { readonly event: 'failed'; readonly code: string };

export function livenessThreadProgram(): string {
  const modules = ['node:dgram', 'node:crypto', 'node:worker_threads'].map((name) => `require('${name}')`);
  const functions = [monotonicMs, heartbeatCodec].map(String);
  return `(${String(runLivenessThread)})(${[...modules, ...functions].join(', ')})`;
}

/** A clock that all threads share, in ms modulo 2^32: only differences of less than 24 days have a meaning. */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return (seconds * 1000 + nanoseconds / 1e6) | 0;
}

function runLivenessThread(
  dgram: typeof Dgram,
  crypto: typeof Crypto,
  { parentPort, workerData }: typeof Threads,
  nowMs: typeof monotonicMs,
  codecOf: typeof heartbeatCodec,
): void {
  const { shared, host, port, self, keys: firstKeys, maxPerSecond } = workerData as LivenessThreadData;
  const times = new Int32Array(shared);
  const codec = codecOf(crypto);
  let keys = firstKeys;
  let secondMs = nowMs();
  let received = 0;

  const post = (event: LivenessThreadEvent): void => parentPort!.postMessage(event, []);
  const turned = (): void => void Atomics.store(times, 1, nowMs());
  const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (bytes, sender) => {
    const now = nowMs();
    if (((now - secondMs) | 0) >= 1000) {
      secondMs = now;
      received = 0;
    }
    received += 1;
    if (received > maxPerSecond) return;
    const ping = codec.decodePing(keys, self, bytes);
    if (ping === undefined) return;
    const ageMs = (now - Atomics.load(times, 0)) | 0;
    // The callback takes the error: the sender has a timeout.
    socket.send(codec.encodeAnswer(ping, self, ageMs), sender.port, sender.address, () => {});
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    post({ event: 'failed', code: error.code ?? error.message });
    process.exit(1);
  });
  socket.bind({ address: host, port, exclusive: true }, () => {
    turned();
    post({ event: 'listening' });
  });
  // By this, the main thread sees that this one is not hung.
  setInterval(turned, 1000);
  parentPort!.on('message', (message: LivenessThreadMessage) => {
    keys = message.keys;
  });
}
