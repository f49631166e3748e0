/** Conditions that engine tests check and wait for. */
import { expect } from 'vitest';
import type { ReadRequest } from '#cache/engine/read.ts';
import { readRequest, type Engines, type Replica } from './engines.ts';

/** No fill or sparse read is running, and nothing is leased except by the memory tier. */
export async function expectNothingLeased(engines: Engines): Promise<void> {
  for (const { engine } of engines.replicas) {
    await engine.idle();
    expect(engine.memory.usedBytes).toBe(engine.memoryTier.sizeBytes);
  }
}

/** Nothing is leased, and no stream from another replica is open. */
export async function expectNoStreams(engines: Engines): Promise<void> {
  await expectNothingLeased(engines);
  for (const { engine } of engines.replicas)
    expect([engine.peerStreams.count, engine.peerStreams.readers]).toEqual([0, 0]);
}

/** Evicts every memory tier: the next reads are served by the cachestore. */
export function evictMemory(engines: Engines): void {
  for (const { engine } of engines.replicas) engine.memoryTier.evict(Number.POSITIVE_INFINITY);
}

/** Reads object `a` and compares each piece in place, without a copy, before and after a turn of the event loop. */
export async function readsBody({ engine }: Replica, body: Buffer, more: Partial<ReadRequest> = {}): Promise<boolean> {
  const { range, body: pieces } = await engine.read(readRequest('a', more));
  let at = range.from;
  let isEqual = true;
  for await (const piece of pieces) {
    const { bytes } = piece;
    const expected = body.subarray(at, at + bytes.length);
    isEqual &&= expected.equals(bytes);
    await turns(1);
    isEqual &&= expected.equals(bytes);
    at += bytes.length;
    piece.release();
  }
  return isEqual && at === range.to;
}

/** Turns of the event loop. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Whether the promise is pending after a few turns of the event loop. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  promise.catch(() => {});
  return Promise.race([promise.then(() => false), turns(3).then(() => true)]);
}
