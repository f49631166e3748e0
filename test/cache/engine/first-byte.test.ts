/** How long a cold read waits for its first byte, in simulated time: what the origin's line needs, whatever the chunk's size. */
import { describe, expect, test } from 'vitest';
import type { Origin } from '#cache/engine/ports.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';
import { MIB, openEngines, readRequest, whileTimePasses } from '#test/support/engines.ts';

const LATENCY_MS = 20;
const BYTES_PER_MS = 100_000;
/** What a socket brings at a time. */
const READ_BYTES = 64 * 1024;
const OBJECT_BYTES = 256 * MIB;

/** Each connection answers after 20 ms and brings 100 MB/s; the bytes are whatever is in memory. */
function farOrigin(clock: FakeClock): { readonly calls: Pick<Origin, 'head' | 'read'>; readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    calls: {
      async head(_bucket, _key, { signal }) {
        asked.push('HEAD');
        await clock.sleep(LATENCY_MS, signal);
        return { etag: 'e', sizeBytes: OBJECT_BYTES, lastModifiedMs: 0, headers: {} };
      },
      async read(_object, range, sink, { signal }) {
        asked.push(`${range.from / MIB}-${range.to / MIB}`);
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
  const gone = new AbortController();
  const startedMs = clock.now();
  let firstMs = 0;
  const reading = engine.read(readRequest('big', { range, signal: gone.signal })).then((result) => {
    firstMs = clock.now() - startedMs;
    return result;
  });
  const result = await whileTimePasses(clock, reading);
  const asked = [...far.asked];
  gone.abort();
  await result.body.return();
  return { firstMs, asked };
}

describe('the first byte of a cold read', () => {
  const sizes = [8, 64, 128];

  test('comes after two round trips, in chunks of any size', async () => {
    const firstMs: number[] = [];
    for (const size of sizes) {
      const read = await coldRead(size, undefined);
      expect(read.asked.slice(0, 2)).toEqual(['HEAD', '0-8']);
      expect(read.firstMs).toBeLessThanOrEqual(2 * LATENCY_MS + 10);
      firstMs.push(read.firstMs);
    }
    expect(Math.max(...firstMs)).toBeLessThan(1.2 * Math.min(...firstMs));
  });

  test('of a range deep inside comes with the part that holds it', async () => {
    const firstMs: number[] = [];
    for (const size of sizes) {
      const from = 200 * MIB;
      const read = await coldRead(size, `bytes=${from}-`);
      expect(read.asked.slice(0, 2)).toEqual(['HEAD', '200-208']);
      expect(read.firstMs).toBeLessThanOrEqual(2 * LATENCY_MS + 10);
      firstMs.push(read.firstMs);
    }
    expect(Math.max(...firstMs)).toBeLessThan(1.2 * Math.min(...firstMs));
  });
});
