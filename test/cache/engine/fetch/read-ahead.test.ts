import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { startingWith } from '#cache/engine/fetch/read-ahead.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';
import { expectNothingLeased, turns } from '#test/support/engine-checks.ts';
import { collect, MIB, openEngines, patternBytes, readAll, readRequest } from '#test/support/engines.ts';
import { openStored, startPacedReader } from '#test/support/paced-reader.ts';

/** One replica with an object of eight chunks of 1 MiB, none of which is stored. */
function open(readahead: number) {
  const engines = openEngines({ readahead, budgetBytes: 32 * MIB });
  const body = patternBytes(8 * MIB);
  engines.origin.put('far-models', 'a', body);
  const { engine } = engines.replicas[0]!;
  const requestedMib = () => engines.origin.reads.map(({ range }) => range.from / MIB);
  return { engines, origin: engines.origin, engine, body, requestedMib };
}

test('fetches at most `readahead` chunks early', async () => {
  const { engines, origin, engine, body, requestedMib } = open(2);
  origin.readGate.hold();
  const reading = engine.read(readRequest('a'));
  await origin.readGate.reached(3);
  await turns(20);
  expect(new Set(requestedMib())).toEqual(new Set([0, 1, 2]));
  origin.readGate.release();
  expect((await collect(await reading)).equals(body)).toBe(true);
  expect(origin.counts.reads).toBe(8);
  await expectNothingLeased(engines);
});

test('fetches twice as many early once the first bytes come from the origin, while it has room', async () => {
  for (const [targetGlobal, expected] of [
    [192, 5],
    // With one fill in flight no slot of the second half is free.
    [2, 3],
  ] as const) {
    const engines = openEngines({ readahead: 2, budgetBytes: 32 * MIB, targetGlobal });
    engines.origin.put('far-models', 'a', patternBytes(8 * MIB));
    const { engine } = engines.replicas[0]!;
    const result = await engine.read(readRequest('a'));
    await turns(20);
    expect(new Set(engines.origin.reads.map(({ range }) => range.from / MIB)).size).toBe(expected);
    await result.body.return();
    await engine.idle();
    await expectNothingLeased(engines);
  }
});

test('fetches nothing early while memory is short', async () => {
  const { engines, origin, engine, body, requestedMib } = open(8);
  const lease = await engine.memory.lease(16 * MIB, 'window', 'new', new AbortController().signal);
  origin.readGate.hold();
  const reading = engine.read(readRequest('a'));
  await origin.readGate.reached();
  await turns(20);
  expect(requestedMib()).toEqual([0]);
  origin.readGate.release();
  const result = await reading;
  lease.close();
  expect((await collect(result)).equals(body)).toBe(true);
  await expectNothingLeased(engines);
});

test('a chunk that could not be fetched early is fetched in its turn', async () => {
  const body = patternBytes(3 * MIB);
  let failures = 0;
  const engines = openEngines({
    readahead: 2,
    originSeen: (origin) => ({
      ...origin,
      read(object, range, sink, options) {
        if (range.from !== MIB || failures++ > 0) return origin.read(object, range, sink, options);
        return Promise.reject(new OrcaError('origin_denied', 'injected'));
      },
    }),
  });
  engines.origin.put('far-models', 'a', body);
  expect((await readAll(engines.replicas[0]!.engine, readRequest('a'))).bytes.equals(body)).toBe(true);
  expect(failures).toBe(2);
  await expectNothingLeased(engines);
});

test('a generator that is put behind a first piece is closed with it', async () => {
  const piece: Piece = { bytes: Buffer.from('a'), source: 'memory', release: () => {} };
  let isClosed = false;
  async function* rest() {
    try {
      yield piece;
    } finally {
      isClosed = true;
    }
  }
  const pieces = rest();
  await pieces.next();
  const all = startingWith(piece, pieces);
  expect((await all.next()).value).toBe(piece);
  await all.return();
  expect(isClosed).toBe(true);
});

test('a stall releases prefetched chunks, and nothing is prefetched for a slow reader', async () => {
  const { engines, engine, body } = await openStored(2 * MIB, 8);
  const { pace, first, rest } = await startPacedReader(engines, 'a');
  await turns(1);
  expect(engine.memory.usedBytes).toBeGreaterThan(8 * MIB);
  pace.stalled();
  await turns(1);
  expect(engine.memory.usedBytes).toBe(MIB);
  const reads = engines.store.counts.reads;
  const got = Buffer.from(first.bytes);
  first.release();
  expect(Buffer.concat([got, await rest()]).equals(body)).toBe(true);
  // One read per chunk, and two for the first chunk.
  expect(engines.store.counts.reads - reads).toBe(12);
});
