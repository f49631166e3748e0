/**
 * The unit of this room's histograms: a 64th of a minute. A store is often filled within a few minutes, and a cutoff must
 * divide the chunks of one minute; the keys of chunks, which are evenly distributed, order them there.
 */
import { Histogram } from '#cache/core/capacity/histogram.ts';

const TICKS = 64;
/** The upper 6 bits of the key's lower word. */
const SHIFT = 26;

export function tickOf(minute: number, low: number): number {
  return minute * TICKS + (low >>> SHIFT);
}

/** The lowest `low` of the same tick: all chunks of a tick are below a cutoff, or none, as in the histogram. */
export function firstOfTick(low: number): number {
  return ((low >>> SHIFT) << SHIFT) >>> 0;
}

/** The last tick of the minute: `planEviction` computes from the end of its unit. */
export function lastTickOf(minute: number): number {
  return minute * TICKS + TICKS - 1;
}

/** A fraction, for a cutoff. */
export function minuteOfTick(tick: number): number {
  return tick / TICKS;
}

export function byMinute(byTick: Histogram): Histogram {
  const histogram = new Histogram();
  for (const { minute: tick, provenBytes, onceBytes } of byTick.entries()) {
    const minute = Math.floor(tick / TICKS);
    if (provenBytes > 0) histogram.add(minute, provenBytes, true);
    if (onceBytes > 0) histogram.add(minute, onceBytes, false);
  }
  return histogram;
}
