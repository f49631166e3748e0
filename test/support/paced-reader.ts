/** Readers whose client stalls or is slow, as tests of streams and sources need them. */
import { expect } from 'vitest';
import type { Piece } from '#cache/engine/memory/piece.ts';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import {
  collect,
  MIB,
  openEngines,
  patternBytes,
  readAll,
  readRequest,
  reopenEngines,
  type Engines,
} from './engines.ts';

export interface PacedReader {
  readonly pace: ReaderPace;
  /** Taken, and not released yet. */
  readonly first: Piece;
  readonly take: () => Promise<Piece>;
  /** All pieces that were not taken. */
  readonly rest: () => Promise<Buffer>;
}

/** A read at the first replica that has taken its first piece. */
export async function startPacedReader(engines: Engines, key: string): Promise<PacedReader> {
  const pace = new ReaderPace();
  const result = await engines.replicas[0]!.engine.read(readRequest(key, { pace }));
  const take = async () => {
    const { value } = await result.body.next();
    if (value === undefined) throw new Error('the body has ended');
    return value;
  };
  return { pace, take, first: await take(), rest: () => collect(result) };
}

/** One replica with object `a` in its cachestore. No chunk was read lately: reads go through windows, not into memory. */
export async function openStored(chunkBytes: number, readahead = 0, sizeBytes = 24 * MIB) {
  const options = { chunkBytes, readahead, budgetBytes: 128 * MIB };
  const filled = openEngines(options);
  const body = patternBytes(sizeBytes);
  filled.origin.put('far-models', 'a', body);
  await readAll(filled.replicas[0]!.engine, readRequest('a'));
  await filled.replicas[0]!.engine.idle();
  const engines = reopenEngines(filled, options);
  const { engine } = engines.replicas[0]!;
  expect(engine.memory.usedBytes).toBe(0);
  return { engines, engine, body };
}
