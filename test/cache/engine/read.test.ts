import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { KnownPieces } from '#cache/engine/memory/known-pieces.ts';
import type { ReadResult } from '#cache/engine/read.ts';
import { evictMemory, expectNoStreams, expectNothingLeased } from '#test/support/engine-checks.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import {
  collect,
  MIB,
  openEngines,
  patternBytes,
  readAll,
  readRequest,
  whileTimePasses,
  type Engines,
} from '#test/support/engines.ts';

const total = (engines: Engines, pick: (counts: Engines['replicas'][number]['counts']) => number) =>
  engines.replicas.reduce((sum, { counts }) => sum + pick(counts), 0);

describe('one replica', () => {
  test('fills a cold object, commits its chunks, and serves it again without the origin', async () => {
    const engines = openEngines();
    const [replica] = engines.replicas;
    const body = patternBytes(3 * MIB + 12_345);
    engines.origin.put('far-models', 'a', body);
    const cold = await readAll(replica!.engine, readRequest('a'));
    expect(cold.bytes.equals(body)).toBe(true);
    expect(cold.result).toMatchObject({ status: 200, source: 'fill' });
    await expectNothingLeased(engines);
    expect(engines.store.paths()).toHaveLength(4);
    engines.origin.remove('far-models', 'a');
    const warm = await readAll(replica!.engine, readRequest('a'));
    expect(warm.bytes.equals(body)).toBe(true);
    expect(engines.origin.counts).toMatchObject({ heads: 1, reads: 4, bytes: body.length });
  });

  test.for([
    ['bytes=0-0', 0, 1],
    ['bytes=1048575-1048576', MIB - 1, MIB + 1],
    ['bytes=1048576-2097151', MIB, 2 * MIB],
    ['bytes=100-3000000', 100, 3_000_001],
    ['bytes=-5', 3 * MIB + 95, 3 * MIB + 100],
    ['bytes=3145728-', 3 * MIB, 3 * MIB + 100],
  ] as const)('serves %s exactly, cold and from the cachestore', async ([range, from, to]) => {
    const engines = openEngines();
    const body = patternBytes(3 * MIB + 100);
    engines.origin.put('far-models', 'a', body);
    const { engine } = engines.replicas[0]!;
    const cold = await readAll(engine, readRequest('a', { range }));
    expect(cold.result).toMatchObject({ status: 206, range: { from, to } });
    expect(cold.bytes.equals(body.subarray(from, to))).toBe(true);
    // A sparse read stores nothing.
    await readAll(engine, readRequest('a'));
    await engine.idle();
    evictMemory(engines);
    const warm = await readAll(engine, readRequest('a', { range }));
    expect(warm.result.source).toBe('store');
    expect(warm.bytes.equals(body.subarray(from, to))).toBe(true);
    await expectNothingLeased(engines);
  });

  test('an empty object has an empty body, and the origin gets no GET', async () => {
    const engines = openEngines();
    engines.origin.put('far-models', 'empty', Buffer.alloc(0));
    const { bytes, result } = await readAll(engines.replicas[0]!.engine, readRequest('empty'));
    expect(bytes).toHaveLength(0);
    expect(result.status).toBe(200);
    expect(engines.origin.counts.reads).toBe(0);
  });

  describe('of bytes that are in memory', () => {
    const signal = () => {
      throw new Error('a signal was created');
    };
    const open = async () => {
      const engines = openEngines({ chunkBytes: 4 * MIB });
      const body = patternBytes(4 * MIB, 3);
      engines.origin.put('far-models', 'a', body);
      const { engine } = engines.replicas[0]!;
      await readAll(engine, readRequest('a'));
      return { engines, engine, body };
    };

    test.each([
      ['in one segment', 0, 4096, 1],
      ['across the end of a segment', MIB - 10, 4096, 2],
      ['to the end of the object', 4 * MIB - 5, 5, 1],
    ])('%s: answered in the same turn, without a signal', async (_, from, length, count) => {
      const { engines, engine, body } = await open();
      const result = engine.readSoon(readRequest('a', { range: `bytes=${from}-${from + length - 1}`, signal }));
      if (result instanceof Promise) throw new Error('the read waits');
      expect(result).toMatchObject({ status: 206, source: 'memory', range: { from, to: from + length } });
      const pieces = (result.body as KnownPieces).takeAll();
      expect(pieces).toHaveLength(count);
      expect(Buffer.concat(pieces.map(({ bytes }) => bytes)).equals(body.subarray(from, from + length))).toBe(true);
      for (const piece of pieces) piece.release();
      await expectNothingLeased(engines);
    });

    test('a HEAD and a 304 are answered in the same turn too', async () => {
      const { engine } = await open();
      const head = engine.readSoon(readRequest('a', { headOnly: true, signal }));
      expect(head).toMatchObject({ status: 200, source: undefined });
      const etag = `"${(head as ReadResult).head.etag}"`;
      // Younger than what a failed precondition revalidates.
      expect(engine.readSoon(readRequest('a', { conditions: { ifNoneMatch: etag }, signal }))).toMatchObject({
        status: 304,
      });
    });

    test('an error is a rejection, also of what is known at once', async () => {
      const { engine } = await open();
      const refused = engine.readSoon(readRequest('a', { range: `bytes=${4 * MIB}-`, signal }));
      await expect(refused).rejects.toMatchObject({ code: 'range_not_satisfiable' });
      await expect(engine.readSoon(readRequest('a', { bucket: 'none', signal }))).rejects.toMatchObject({
        code: 'bucket_not_found',
      });
    });
  });

  test('an object that changes before its first byte is resolved again, transparently to the client', async () => {
    const engines = openEngines();
    engines.origin.put('far-models', 'a', patternBytes(MIB, 1));
    const { engine } = engines.replicas[0]!;
    await engine.read(readRequest('a', { headOnly: true }));
    const changed = patternBytes(MIB + 7, 2);
    engines.origin.put('far-models', 'a', changed);
    const { bytes, result } = await readAll(engine, readRequest('a'));
    expect(bytes.equals(changed)).toBe(true);
    expect(result.head.sizeBytes).toBe(changed.length);
    await expectNothingLeased(engines);
  });

  test('an object that changes during the read ends it with object_changed', async () => {
    const engines = openEngines({ readahead: 0 });
    engines.origin.put('far-models', 'a', patternBytes(3 * MIB, 1));
    const { engine } = engines.replicas[0]!;
    const result = await engine.read(readRequest('a'));
    engines.origin.put('far-models', 'a', patternBytes(3 * MIB, 2));
    await expect(collect(result)).rejects.toMatchObject({ code: 'object_changed' });
    await expectNothingLeased(engines);
  });

  test('a client that disconnects leaves no memory leased', async () => {
    const engines = openEngines({ chunkBytes: MIB });
    engines.origin.put('far-models', 'a', patternBytes(20 * MIB));
    const { engine } = engines.replicas[0]!;
    const disconnect = new AbortController();
    const result = await engine.read(readRequest('a', { signal: disconnect.signal }));
    const first = await result.body.next();
    disconnect.abort(new OrcaError('cancelled', 'the client has disconnected'));
    if (first.done !== true) first.value.release();
    await result.body.return();
    await expectNothingLeased(engines);
  });

  test('refuses buckets that are not on the allow-list, and keys that are too long', async () => {
    const { replicas, origin } = openEngines();
    const { engine } = replicas[0]!;
    await expect(engine.read(readRequest('a', { bucket: 'far-models' }))).rejects.toMatchObject({
      code: 'bucket_not_found',
    });
    await expect(engine.read(readRequest('é'.repeat(513)))).rejects.toMatchObject({ code: 'key_too_long' });
    expect(origin.counts.heads).toBe(0);
  });
});

describe('three replicas', () => {
  test('fetch each chunk once in total, however many readers there are, and share the work', async () => {
    const engines = openEngines({ replicas: 3, chunkBytes: MIB / 8 });
    const body = patternBytes(8 * MIB);
    engines.origin.put('far-models', 'a', body);
    const reads = Array.from({ length: 12 }, (_, i) => readAll(engines.replicas[i % 3]!.engine, readRequest('a')));
    for (const { bytes } of await Promise.all(reads)) expect(bytes.equals(body)).toBe(true);
    expect(engines.origin.counts.bytes).toBe(body.length);
    expect(engines.origin.counts.reads).toBe(64);
    for (const { counts } of engines.replicas) expect(counts.originBytes).toBeGreaterThan(0);
    await expectNothingLeased(engines);
    expect(total(engines, (counts) => counts.committedBytes)).toBe(body.length);
  });

  test('read chunks from the cachestore that other replicas filled', async () => {
    const engines = openEngines({ replicas: 3, chunkBytes: MIB / 8 });
    const body = patternBytes((8 * MIB) / 8);
    engines.origin.put('far-models', 'a', body);
    await readAll(engines.replicas[0]!.engine, readRequest('a'));
    await expectNothingLeased(engines);
    evictMemory(engines);
    for (const { engine } of engines.replicas) {
      const { bytes } = await readAll(engine, readRequest('a'));
      expect(bytes.equals(body)).toBe(true);
    }
    expect(engines.origin.counts.bytes).toBe(body.length);
  });
});

describe('memory', () => {
  test('requests beyond the memory budget are refused with overloaded', async () => {
    const clock = fakeClock();
    const engines = openEngines({ budgetBytes: 4 * MIB, chunkBytes: MIB, readahead: 0, clock });
    for (let i = 0; i < 6; i++) engines.origin.put('far-models', `o${i}`, patternBytes(MIB, i));
    const { engine } = engines.replicas[0]!;
    engines.origin.readGate.hold();
    const reads = Array.from({ length: 3 }, (_, i) => readAll(engine, readRequest(`o${i}`)));
    await engines.origin.readGate.reached(3);
    expect(engine.memory.usedBytes).toBeLessThanOrEqual(4 * MIB);
    const refused = engine.read(readRequest('o4'));
    await expect(whileTimePasses(clock, refused)).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 1_000 });
    engines.origin.readGate.release();
    await Promise.all(reads);
    const { bytes } = await readAll(engine, readRequest('o5'));
    expect(bytes.equals(patternBytes(MIB, 5))).toBe(true);
    await expectNothingLeased(engines);
  });

  test('a finished commit unblocks a request that waits for its memory', async () => {
    const clock = fakeClock();
    const engines = openEngines({ budgetBytes: 4 * MIB, chunkBytes: MIB, readahead: 0, clock });
    for (let i = 0; i < 2; i++) engines.origin.put('far-models', `o${i}`, patternBytes(MIB, i));
    const { engine } = engines.replicas[0]!;
    engines.store.commitGate.hold();
    await readAll(engine, readRequest('o0'));
    const rest = await engine.memory.lease(2 * MIB, 'fill', 'new', new AbortController().signal);
    const waiting = readAll(engine, readRequest('o1'));
    await clock.advance(1_000);
    expect(engine.memory.waiting('new')).toBe(1);
    engines.store.commitGate.release();
    await clock.advance(1);
    expect(engine.memory.waiting('new')).toBe(0);
    rest.close();
    expect((await waiting).bytes.equals(patternBytes(MIB, 1))).toBe(true);
    await expectNothingLeased(engines);
  });

  test('under memory pressure each response is correct or refused before it starts, and nothing leaks', async () => {
    const clock = fakeClock();
    const engines = openEngines({ budgetBytes: 8 * MIB, chunkBytes: 2 * MIB, readahead: 4, clock });
    const bodies = Array.from({ length: 20 }, (_, i) => patternBytes(3 * MIB, i));
    for (const [i, body] of bodies.entries()) engines.origin.put('far-models', `o${i}`, body);
    const { engine } = engines.replicas[0]!;
    const reads = Promise.allSettled(bodies.map((_, i) => readAll(engine, readRequest(`o${i}`))));
    const ended = await whileTimePasses(clock, reads);
    for (const [i, outcome] of ended.entries()) {
      if (outcome.status === 'fulfilled') expect(outcome.value.bytes.equals(bodies[i]!)).toBe(true);
      else expect((outcome.reason as OrcaError).code).toBe('overloaded');
    }
    expect(ended.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(3);
    await expectNothingLeased(engines);
  });
});

test('replicas with an old and a new configuration serve correct bytes, and fetch each chunk of each size once', async () => {
  const engines = openEngines({ replicas: 3, chunkBytes: [MIB, 2 * MIB, 2 * MIB], readahead: 2 });
  const body = patternBytes(5 * MIB);
  engines.origin.put('far-models', 'a', body);
  const reads = engines.replicas.flatMap(({ engine }) => [1, 2].map(() => readAll(engine, readRequest('a'))));
  for (const { bytes } of await Promise.all(reads)) expect(bytes.equals(body)).toBe(true);
  expect(engines.origin.counts.bytes).toBe(2 * body.length);
  await expectNoStreams(engines);
  expect(engines.store.paths()).toHaveLength(5 + 3);
  expect(engines.store.counts.won).toBe(5 + 3);
});

test('the error for an archived object contains its storage class, whichever replica fills it', async () => {
  const engines = openEngines({ replicas: 2 });
  engines.origin.put('far-models', 'a', patternBytes(100), { headers: { 'x-amz-storage-class': 'GLACIER' } });
  for (const { engine } of engines.replicas) {
    engines.origin.inject({ on: 'read', what: new OrcaError('object_archived', 'archived') });
    await expect(readAll(engine, readRequest('a'))).rejects.toMatchObject({
      code: 'object_archived',
      fields: { StorageClass: 'GLACIER' },
    });
  }
  await expectNothingLeased(engines);
});
