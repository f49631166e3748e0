/** What small reads of a cold object cost at the origin, for objects of all sizes in chunks of the default sizes. */
import { describe, expect, test } from 'vitest';
import { MIB, openEngines, readAll } from '#test/support/engines.ts';
import { idle, KIB, LONG_MS, rangeRequest } from '#test/support/sparse-engines.ts';
import { syntheticObject } from '#test/support/synthetic-object.ts';

const GIB = 1024 * MIB;
const TIERS = [
  { minObjectSizeBytes: GIB, chunkSizeBytes: 64 * MIB },
  { minObjectSizeBytes: 10 * GIB, chunkSizeBytes: 128 * MIB },
];
const RANDOM_READS = 1_000;
const RANDOM_BYTES = 4 * KIB;

function open(sizeBytes: number, replicas: number) {
  const object = syntheticObject(sizeBytes, TIERS);
  const engines = openEngines({ ...object.options, replicas, budgetBytes: 600 * MIB });
  const read = async (number: number, from: number, length: number) => {
    const { engine } = engines.replicas[number % replicas]!;
    const { bytes } = await readAll(engine, rangeRequest(from, Math.min(length, sizeBytes - from)));
    expect(bytes.equals(object.bytesAt(from, bytes.length))).toBe(true);
    return bytes.length;
  };
  return { ...object, engines, read };
}

describe('1 000 random reads of 4 KiB cost four times their bytes and 64 KiB each at most', () => {
  test.for([1, 16, 100, 900, 2 * 1024, 100 * 1024, 1024 * 1024])('of %i MiB', { timeout: LONG_MS }, async (mib) => {
    const object = open(mib * MIB, 3);
    // A linear congruential generator, the same on every run.
    let state = 102_947;
    const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
    let askedBytes = 0;
    for (let number = 0; number < RANDOM_READS; number++)
      askedBytes += await object.read(number, Math.floor(random() * (object.sizeBytes - RANDOM_BYTES)), RANDOM_BYTES);
    await idle(object.engines);
    expect(object.readBytes()).toBeLessThanOrEqual(4 * askedBytes + RANDOM_READS * 64 * KIB);
  });
});

describe('a reader in sequence costs 5 % more than the object at most', () => {
  test.for([
    [1, 4],
    [16, 4],
    [100, 64],
    [256, 1024],
  ] as const)('of %i MiB in ranges of %i KiB', { timeout: LONG_MS }, async ([mib, kib]) => {
    const object = open(mib * MIB, 3);
    for (let from = 0; from < object.sizeBytes; from += kib * KIB) await object.read(0, from, kib * KIB);
    await idle(object.engines);
    expect(object.readBytes()).toBeLessThanOrEqual(1.05 * object.sizeBytes);
  });
});
