import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { Origin } from '#cache/engine/ports.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';
import { expectNothingLeased, turns } from '#test/support/engine-checks.ts';
import { MIB, openEngines, patternBytes, readAll, readRequest, whileTimePasses } from '#test/support/engines.ts';

const LATENCY_MS = 20;
const BYTES_PER_MS = 100_000;
/** The bytes of one socket read. */
const READ_BYTES = 64 * 1024;
const OBJECT_BYTES = 256 * MIB;

/** Each connection responds after 20 ms and delivers 100 MB/s, in simulated time; the bytes are arbitrary. */
function farOrigin(clock: FakeClock): { readonly calls: Pick<Origin, 'head' | 'read'>; readonly requests: string[] } {
  const requests: string[] = [];
  return {
    requests,
    calls: {
      async head(_bucket, _key, { signal }) {
        requests.push('HEAD');
        await clock.sleep(LATENCY_MS, signal);
        return { etag: 'e', sizeBytes: OBJECT_BYTES, lastModifiedMs: 0, headers: {} };
      },
      async read(_object, range, sink, { signal }) {
        requests.push(`${range.from / MIB}-${range.to / MIB}`);
        await clock.sleep(LATENCY_MS, signal);
        for (let at = range.from; at < range.to;) {
          const lengthBytes = Math.min(READ_BYTES, range.to - at, sink.space()?.length ?? 0);
          await clock.sleep(lengthBytes / BYTES_PER_MS, signal);
          sink.filled(lengthBytes);
          at += lengthBytes;
        }
      },
    },
  };
}

async function coldRead(chunkMib: number, range: string | undefined) {
  const clock = fakeClock();
  const far = farOrigin(clock);
  const engines = openEngines({
    clock,
    chunkBytes: chunkMib * MIB,
    budgetBytes: 512 * MIB,
    readahead: 0,
    originSeen: (origin) => ({ ...origin, ...far.calls }),
  });
  const { engine } = engines.replicas[0]!;
  const disconnect = new AbortController();
  const startedMs = clock.now();
  let firstMs = 0;
  const reading = engine.read(readRequest('big', { range, signal: disconnect.signal })).then((result) => {
    firstMs = clock.now() - startedMs;
    return result;
  });
  const result = await whileTimePasses(clock, reading);
  const requests = [...far.requests];
  disconnect.abort();
  await result.body.return();
  return { firstMs, requests };
}

describe('the first byte of a cold read', () => {
  const sizes = [8, 64, 128];

  test('arrives after two round trips, whatever the chunk size is', async () => {
    const firstMs: number[] = [];
    for (const size of sizes) {
      const read = await coldRead(size, undefined);
      expect(read.requests.slice(0, 2)).toEqual(['HEAD', '0-8']);
      expect(read.firstMs).toBeLessThanOrEqual(2 * LATENCY_MS + 10);
      firstMs.push(read.firstMs);
    }
    expect(Math.max(...firstMs)).toBeLessThan(1.2 * Math.min(...firstMs));
  });

  test('arrives as early for a range deep inside the object: its part is fetched first', async () => {
    const firstMs: number[] = [];
    for (const size of sizes) {
      const from = 200 * MIB;
      const read = await coldRead(size, `bytes=${from}-`);
      expect(read.requests.slice(0, 2)).toEqual(['HEAD', '200-208']);
      expect(read.firstMs).toBeLessThanOrEqual(2 * LATENCY_MS + 10);
      firstMs.push(read.firstMs);
    }
    expect(Math.max(...firstMs)).toBeLessThan(1.2 * Math.min(...firstMs));
  });
});

test('a fill whose connection is cut continues at its offset, and is committed whole', async () => {
  const engines = openEngines();
  const body = patternBytes(MIB);
  engines.origin.put('far-models', 'a', body);
  engines.origin.inject({ on: 'read', what: 'cut', afterBytes: 300_000 });
  const { bytes } = await readAll(engines.replicas[0]!.engine, readRequest('a'));
  expect(bytes.equals(body)).toBe(true);
  expect(engines.origin.reads.map(({ range }) => range.from)).toEqual([0, 300_000]);
  expect(engines.origin.counts.bytes).toBe(body.length);
  await expectNothingLeased(engines);
  const path = engines.store.paths()[0]!;
  expect(Buffer.from(engines.store.body(path)!).equals(body)).toBe(true);
});

test('retries are counted from the last break: an origin that sends nothing more is not retried forever', async () => {
  const engines = openEngines();
  engines.origin.put('far-models', 'a', patternBytes(MIB));
  engines.origin.inject({ on: 'read', what: 'cut', afterBytes: 300_000 });
  engines.origin.inject({ on: 'read', what: 'cut', times: 30 });
  await expect(readAll(engines.replicas[0]!.engine, readRequest('a'))).rejects.toMatchObject({
    code: 'origin_unavailable',
  });
  await expectNothingLeased(engines);
});

test('a response that stays short is never committed, and closes the client’s connection', async () => {
  const engines = openEngines();
  engines.origin.put('far-models', 'a', patternBytes(MIB));
  engines.origin.inject({ on: 'read', what: 'short', afterBytes: 10, times: 100 });
  const { engine } = engines.replicas[0]!;
  await expect(readAll(engine, readRequest('a'))).rejects.toMatchObject({ code: 'origin_unavailable' });
  // Three attempts of the fill, and three more, since the origin is the last source of a response that has started.
  expect(engines.origin.counts.reads).toBeLessThanOrEqual(6);
  expect(engines.store.paths()).toEqual([]);
  await expectNothingLeased(engines);
});

test('while the circuit breaker probes the origin, a fill of several parts continues one part at a time', async () => {
  const clock = fakeClock();
  const engines = openEngines({ clock, chunkBytes: 16 * MIB, readahead: 0 });
  const { engine } = engines.replicas[0]!;
  const body = patternBytes(12 * MIB);
  engines.origin.put('far-models', 'a', body);
  await whileTimePasses(clock, engine.read(readRequest('a', { headOnly: true })));
  const down = new OrcaError('origin_unavailable', 'down');
  engines.origin.inject({ on: 'head', what: down, times: 10 });
  const { signal } = new AbortController();
  // The breaker of the object opens.
  for (let attempt = 0; attempt < 10; attempt++)
    await expect(engine.origin.head('far-models', 'a', { signal })).rejects.toBe(down);
  engines.origin.readGate.hold();
  await clock.advance(6_000);

  // The probe takes so long that the other part is refused at each attempt.
  const reading = readAll(engine, readRequest('a'));
  reading.catch(() => {});
  await engines.origin.readGate.reached(1);
  await clock.advance(4_000);
  engines.origin.readGate.release();
  expect((await whileTimePasses(clock, reading)).bytes.equals(body)).toBe(true);
  await expectNothingLeased(engines);
});

test('an opening circuit breaker does not end a fill that has begun', async () => {
  const clock = fakeClock();
  const engines = openEngines({ clock, chunkBytes: 40 * MIB, readahead: 0, targetGlobal: 8 });
  const { engine } = engines.replicas[0]!;
  const body = patternBytes(40 * MIB);
  engines.origin.put('far-models', 'a', body);
  await whileTimePasses(clock, engine.read(readRequest('a', { headOnly: true })));
  // Four of five parts are in flight.
  engines.origin.readGate.hold();
  const reading = readAll(engine, readRequest('a'));
  await engines.origin.readGate.reached(4);
  engines.origin.inject({ on: 'head', what: new OrcaError('origin_unavailable', 'down'), times: 12 });
  const heads = ['b', 'c', 'd', 'e'].map((key) => engine.read(readRequest(key)).catch((error: unknown) => error));
  await whileTimePasses(clock, Promise.all(heads));
  expect(engine.origin.breakers.get('far-models')?.state).toBe('open');
  engines.origin.readGate.release();
  // The clock does not advance: nothing waits for a probe or a retry.
  expect((await reading).bytes.equals(body)).toBe(true);
  expect(engines.origin.counts.bytes).toBe(body.length);
  await expectNothingLeased(engines);
});

describe('the parts of a fill in flight at once', () => {
  async function partsInFlight(targetGlobal: number) {
    const engines = openEngines({ chunkBytes: 96 * MIB, readahead: 0, targetGlobal });
    const body = patternBytes(96 * MIB);
    engines.origin.put('far-models', 'a', body);
    const { engine } = engines.replicas[0]!;
    engines.origin.readGate.hold();
    const reading = readAll(engine, readRequest('a'));
    await engines.origin.readGate.reached(4);
    await turns(20);
    const { reads } = engines.origin.counts;
    engines.origin.readGate.release();
    expect((await reading).bytes.equals(body)).toBe(true);
    expect(engines.origin.counts).toMatchObject({ reads: 12, bytes: body.length });
    await expectNothingLeased(engines);
    return reads;
  }

  test('are eight while the origin has room', async () => {
    expect(await partsInFlight(192)).toBe(8);
  });

  test('are four while half of the slots are taken, and in between at most half', async () => {
    expect(await partsInFlight(4)).toBe(4);
    expect(await partsInFlight(8)).toBe(4);
    expect(await partsInFlight(12)).toBe(6);
  });

  test('are four when the last reader has left: the others end with their parts', async () => {
    const engines = openEngines({ chunkBytes: 128 * MIB, budgetBytes: 512 * MIB, readahead: 0 });
    engines.origin.put('far-models', 'a', patternBytes(128 * MIB));
    const { engine } = engines.replicas[0]!;
    engines.origin.readGate.hold();
    const left = new AbortController();
    const reading = engine.read(readRequest('a', { signal: left.signal })).catch(() => {});
    await engines.origin.readGate.reached(8);
    left.abort();
    await reading;
    engines.origin.readGate.release();
    await engine.idle();
    expect(engines.origin.counts.reads).toBe(16);
    await expectNothingLeased(engines);
  });
});
