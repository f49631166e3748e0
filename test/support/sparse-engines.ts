/** Engines with an object in large chunks, of which tests read small ranges. */
import { expect } from 'vitest';
import { chunkAt, type Chunk } from '#cache/core/chunk.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import { expectNothingLeased } from './engine-checks.ts';
import {
  MIB,
  openEngines,
  patternBytes,
  readAll,
  readRequest,
  type Engines,
  type EnginesOptions,
  type Replica,
} from './engines.ts';

export const KIB = 1024;
export const BLOCK = 64 * KIB;
/** Objects of 4 MiB and more have chunks of 4 MiB: 64 blocks, an eighth of which is 8. */
export const CHUNK = 4 * MIB;
const TIERS = [{ minObjectSizeBytes: CHUNK, chunkSizeBytes: CHUNK }];
/** For tests that move many MiB on a busy machine. */
export const LONG_MS = 60_000;

export interface SparseEngines extends Engines {
  readonly body: Buffer;
  /** By rank for chunk 0: its coordinator is the first. */
  readonly ranked: readonly Replica[];
  /** Chunk 0. */
  readonly chunk: Chunk;
}

export function openSparse(options: EnginesOptions & { readonly sizeBytes?: number } = {}): SparseEngines {
  const engines = openEngines({ tiers: TIERS, ...options });
  const body = patternBytes(options.sizeBytes ?? 2 * CHUNK);
  const { etag, sizeBytes } = engines.origin.put('far-models', 'a', body);
  const chunk = chunkAt({ originId: 'test', bucket: 'far-models', key: 'a', etag, sizeBytes }, CHUNK, 0);
  const addresses = engines.replicas.map(({ address }) => address);
  const ranked = rankPeers(chunk.path, addresses).map((address) => engines.replicas[addresses.indexOf(address)]!);
  return { ...engines, body, ranked, chunk };
}

export function rangeRequest(from: number, length: number, signal = new AbortController().signal) {
  return readRequest('a', { range: `bytes=${from}-${from + length - 1}`, signal });
}

export async function expectRead({ body }: SparseEngines, replica: Replica, from: number, length = 4 * KIB) {
  const { bytes, result } = await readAll(replica.engine, rangeRequest(from, length));
  expect(bytes.equals(body.subarray(from, from + length))).toBe(true);
  return result;
}

export async function idle(engines: Engines): Promise<void> {
  for (const { engine } of engines.replicas) await engine.idle();
}

/** Nothing is leased except by the memory tier, and all of that is evictable. */
export async function expectAllEvictable(engines: Engines): Promise<void> {
  await expectNothingLeased(engines);
  for (const { engine } of engines.replicas) {
    engine.memoryTier.evict(Number.POSITIVE_INFINITY);
    expect(engine.memory.usedBytes).toBe(0);
  }
}

/** The sum over all replicas. */
export function total(engines: Engines, record: 'sparseReads' | 'sparseBytes', name: string): number {
  return engines.replicas.reduce((sum, { counts }) => sum + (counts[record][name] ?? 0), 0);
}
