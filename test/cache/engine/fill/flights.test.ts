import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { Origin } from '#cache/engine/ports.ts';
import { expectNothingLeased, isPending, turns } from '#test/support/engine-checks.ts';
import {
  collect,
  MIB,
  openEngines,
  patternBytes,
  readAll,
  readRequest,
  whileTimePasses,
  type EnginesOptions,
} from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const NEVER = new AbortController().signal;

test('fifty concurrent readers share one fill of each chunk', async () => {
  const engines = openEngines();
  const body = patternBytes(2 * MIB + 1);
  engines.origin.put('far-models', 'a', body);
  const reads = Array.from({ length: 50 }, () => readAll(engines.replicas[0]!.engine, readRequest('a')));
  for (const { bytes } of await Promise.all(reads)) expect(bytes.equals(body)).toBe(true);
  expect(engines.origin.counts).toMatchObject({ heads: 1, reads: 3, bytes: body.length });
  await expectNothingLeased(engines);
});

test('a commit waits for no client, and the fill stays joinable until it is done', async () => {
  const engines = openEngines();
  const body = patternBytes(MIB);
  engines.origin.put('far-models', 'a', body);
  const { engine } = engines.replicas[0]!;
  engines.store.commitGate.hold();
  const slow = await engine.read(readRequest('a'));
  const { bytes } = await readAll(engine, readRequest('a'));
  expect(bytes.equals(body)).toBe(true);
  expect(engine.flights.count).toBe(1);
  engines.store.commitGate.release();
  await engine.idle();
  expect(engines.store.counts.won).toBe(1);
  expect((await collect(slow)).equals(body)).toBe(true);
  expect(engines.origin.counts.reads).toBe(1);
  await expectNothingLeased(engines);
});

describe('a fill without readers', () => {
  /** Each connection delivers 1 MB/s. */
  const BYTES_PER_MS = 1_000;
  const PIECE_BYTES = 256 * 1024;

  function open(objects: Readonly<Record<string, Buffer>>, options: EnginesOptions = {}) {
    const clock = fakeClock();
    const sent = { bytes: 0, requests: 0 };
    const slow = (origin: Origin): Origin => ({
      ...origin,
      async read({ key }, range, sink, { signal }) {
        sent.requests++;
        for (let at = range.from; at < range.to;) {
          const target = sink.space()?.subarray(0, Math.min(PIECE_BYTES, range.to - at)) ?? new Uint8Array();
          await clock.sleep(target.length / BYTES_PER_MS, signal);
          target.set(objects[key]!.subarray(at, at + target.length));
          sent.bytes += target.length;
          at += target.length;
          sink.filled(target.length);
        }
      },
    });
    const engines = openEngines({ clock, readahead: 0, originSeen: slow, ...options });
    for (const [key, body] of Object.entries(objects)) engines.origin.put('far-models', key, body);
    const replica = engines.replicas[0]!;
    /** A client that leaves after `ms`, whether its response has begun or not. */
    const visit = async (key: string, ms: number, range?: string): Promise<void> => {
      const client = new AbortController();
      const reading = readAll(replica.engine, readRequest(key, { signal: client.signal, range })).catch(() => {});
      await clock.advance(ms);
      client.abort(new OrcaError('cancelled', 'the client has left'));
      await reading;
    };
    const ended = () => whileTimePasses(clock, replica.engine.idle());
    return { clock, engines, replica, engine: replica.engine, sent, visit, ended };
  }

  test('is completed: a hundred clients that each leave after a second cost the object once', async () => {
    const body = patternBytes(10 * MIB);
    const { clock, engines, engine, sent, visit, ended } = open({ a: body }, { chunkBytes: 9 * MIB });
    for (let client = 0; client < 100; client++) {
      await visit('a', 1_000, `bytes=${(client % 10) * MIB}-`);
      await clock.advance(3_000);
    }
    await ended();
    expect(sent.bytes).toBe(body.length);
    expect(engines.store.paths()).toHaveLength(2);
    expect((await readAll(engine, readRequest('a'))).bytes.equals(body)).toBe(true);
    expect(sent.bytes).toBe(body.length);
    await expectNothingLeased(engines);
  });

  test('ends when nothing of it has been paid for', async () => {
    const { clock, engine, replica, visit } = open({ a: patternBytes(MIB) }, { budgetBytes: 4 * MIB });
    const all = await engine.memory.lease(3 * MIB, 'fill', 'new', NEVER);
    await visit('a', 1_000);
    await clock.advance(0);
    expect([engine.flights.count, replica.counts.fills, engine.memory.waiting('new')]).toEqual([
      0,
      { cancelled: 1 },
      0,
    ]);
    all.close();
  });

  test('ends for a caller that waits for memory', async () => {
    const { clock, engines, engine, replica, visit } = open(
      { a: patternBytes(8 * MIB) },
      { chunkBytes: 8 * MIB, budgetBytes: 32 * MIB },
    );
    await visit('a', 1_000);
    expect(engine.flights.count).toBe(1);
    const client = await engine.memory.lease(24 * MIB, 'fill', 'new', NEVER);
    expect([engine.flights.count, replica.counts.fills]).toEqual([0, { cancelled: 1 }]);
    client.close();
    await clock.advance(0);
    await expectNothingLeased(engines);
  });

  test('keeps its memory while it has a reader', async () => {
    const { engines, engine, replica, visit } = open(
      { a: patternBytes(8 * MIB) },
      { chunkBytes: 8 * MIB, budgetBytes: 32 * MIB },
    );
    const client = new AbortController();
    const reading = readAll(engine, readRequest('a', { signal: client.signal })).catch(() => {});
    await visit('a', 1_000);
    const waiting = engine.memory.lease(24 * MIB, 'fill', 'new', NEVER);
    expect(await isPending(waiting)).toBe(true);
    client.abort(new OrcaError('cancelled', 'the client has left'));
    (await waiting).close();
    await reading;
    expect(replica.counts.fills).toEqual({ cancelled: 1 });
    await expectNothingLeased(engines);
  });

  test('a quarter of the memory is for those without readers; that with the fewest bytes ends', async () => {
    const objects = Object.fromEntries(['a', 'b', 'c'].map((key, seed) => [key, patternBytes(4 * MIB, seed)]));
    const { engines, engine, replica, sent, visit, ended } = open(objects, {
      chunkBytes: 4 * MIB,
      budgetBytes: 32 * MIB,
    });
    await visit('a', 3_000);
    await visit('b', 500);
    expect(replica.counts.fills).toEqual({});
    await visit('c', 600);
    expect(replica.counts.fills).toEqual({ cancelled: 1 });
    await ended();
    expect([engines.store.paths().length, sent.requests]).toEqual([2, 3]);
    for (const key of ['a', 'b']) await readAll(engine, readRequest(key));
    expect(sent.requests).toBe(3);
  });

  test('is preempted at the origin, and resumes at its offset', async () => {
    const bodies = { a: patternBytes(2 * MIB, 1), b: patternBytes(MIB, 2) };
    const { clock, engines, engine, sent, visit, ended } = open(bodies, { chunkBytes: 2 * MIB, targetGlobal: 1 });
    await visit('a', 200);
    const { bytes } = await whileTimePasses(clock, readAll(engine, readRequest('b')));
    expect(bytes.equals(bodies.b)).toBe(true);
    await ended();
    // Preempted by the HEAD, and by the fill, of the other object.
    expect([sent.bytes, sent.requests]).toEqual([3 * MIB, 4]);
    expect(engines.store.paths()).toHaveLength(2);
  });

  test('gets the slots of a fill with readers when one joins', async () => {
    const { clock, engine, visit } = open({ a: patternBytes(32 * MIB) }, { chunkBytes: 32 * MIB });
    await visit('a', 1_000);
    expect(engine.limiter.runningInBackground).toBe(4);
    const client = new AbortController();
    const reading = readAll(engine, readRequest('a', { signal: client.signal })).catch(() => {});
    await turns(2);
    expect(engine.limiter.runningInBackground).toBe(0);
    client.abort(new OrcaError('cancelled', 'the client has left'));
    await reading;
    await whileTimePasses(clock, engine.idle());
  });
});
