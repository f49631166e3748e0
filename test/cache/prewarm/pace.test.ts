import { describe, expect, it } from 'vitest';
import { Pace } from '#cache/prewarm/pace.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const MIB = 1024 * 1024;
const { signal } = new AbortController();

/** Takes `lengthBytes` again and again, and counts what was taken. */
function taker(pace: Pace, lengthBytes: number) {
  const taken = { bytes: 0 };
  const stop = new AbortController();
  const run = async (): Promise<void> => {
    for (;;) {
      await pace.take(lengthBytes, stop.signal);
      taken.bytes += lengthBytes;
    }
  };
  void run().catch(() => {});
  return { taken, stop: () => stop.abort(new Error('stopped')) };
}

describe('the pace of a run', () => {
  it('holds within 2 % over two minutes, with small chunks and with large ones', async () => {
    for (const chunkBytes of [MIB, 8 * MIB, 128 * MIB]) {
      const clock = fakeClock();
      const { taken, stop } = taker(new Pace(clock, 50 * MIB), chunkBytes);
      await clock.advance(120_000);
      stop();
      const expected = 120 * 50 * MIB;
      expect(Math.abs(taken.bytes - expected)).toBeLessThanOrEqual(Math.max(chunkBytes, expected * 0.02));
    }
  });

  it('holds for many callers together', async () => {
    const clock = fakeClock();
    const pace = new Pace(clock, 10 * MIB);
    const takers = Array.from({ length: 32 }, () => taker(pace, MIB));
    await clock.advance(20_000);
    let sum = 0;
    for (const { taken, stop } of takers) {
      sum += taken.bytes;
      stop();
    }
    expect(sum / MIB).toBeGreaterThan(195);
    expect(sum / MIB).toBeLessThan(212);
  });

  it('does not save more than a second, however long nothing was taken', async () => {
    const clock = fakeClock();
    const pace = new Pace(clock, 10 * MIB);
    await clock.advance(60_000);
    const { taken, stop } = taker(pace, MIB);
    await clock.advance(0);
    stop();
    expect(taken.bytes).toBe(11 * MIB);
  });

  it('does not count bytes that another reader fetched', async () => {
    const clock = fakeClock();
    const pace = new Pace(clock, MIB);
    await pace.take(100 * MIB, signal);
    pace.giveBack(100 * MIB);
    let hasTaken = false;
    void pace.take(MIB, signal).then(() => (hasTaken = true));
    await clock.advance(0);
    expect(hasTaken).toBe(true);
  });

  it('without a limit never waits', async () => {
    const clock = fakeClock();
    const pace = new Pace(clock, undefined);
    for (let at = 0; at < 100; at++) await pace.take(1024 * MIB, signal);
    expect(clock.pending()).toBe(0);
  });

  it('is lowered while a caller waits, or raised', async () => {
    const clock = fakeClock();
    const pace = new Pace(clock, MIB);
    await pace.take(1000 * MIB, signal);
    let hasTaken = false;
    void pace.take(MIB, signal).then(() => (hasTaken = true));
    await clock.advance(5_000);
    expect(hasTaken).toBe(false);
    pace.setLimit(1000 * MIB);
    await clock.advance(2_000);
    expect(hasTaken).toBe(true);
  });

  it('ends a wait with its signal', async () => {
    const clock = fakeClock();
    const pace = new Pace(clock, MIB);
    const stop = new AbortController();
    await pace.take(100 * MIB, stop.signal);
    const waiting = pace.take(MIB, stop.signal);
    stop.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
    expect(clock.pending()).toBe(0);
  });
});

describe('throttling by the origin', () => {
  it('halves the pace once for requests that are refused together, and it grows back by a tenth a second', async () => {
    const clock = fakeClock();
    const pace = new Pace(clock, 64 * MIB);
    for (let at = 0; at < 32; at++) pace.throttled(0);
    expect(pace.bytesPerSecond).toBe(32 * MIB);
    await clock.advance(1_000);
    expect((pace.bytesPerSecond ?? 0) / MIB).toBeCloseTo(35.2);
    pace.throttled(0);
    expect((pace.bytesPerSecond ?? 0) / MIB).toBeCloseTo(17.6);
    await clock.advance(60_000);
    expect(pace.bytesPerSecond).toBe(64 * MIB);
  });

  it('limits a pace without a limit to half of what was measured, until it is four times as fast', async () => {
    const clock = fakeClock();
    const pace = new Pace(clock, undefined);
    pace.throttled(100 * MIB);
    expect(pace.bytesPerSecond).toBe(50 * MIB);
    await clock.advance(10_000);
    expect((pace.bytesPerSecond ?? 0) / MIB).toBeCloseTo(50 * 1.1 ** 10, 0);
    await clock.advance(10_000);
    expect(pace.bytesPerSecond).toBeUndefined();
  });

  it('never stops a run', async () => {
    const clock = fakeClock();
    const pace = new Pace(clock, 64 * MIB);
    for (let at = 0; at < 100; at++) {
      pace.throttled(0);
      await clock.advance(1_000);
    }
    expect(pace.bytesPerSecond).toBeGreaterThanOrEqual(MIB);
  });
});
