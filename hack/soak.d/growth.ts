/** Detects growth: compares the last minutes with those at the end of the first quarter. Pure. */
import { median } from '#hack/bench.d/sample.ts';

export interface Minute {
  readonly minute: number;
  readonly replica: string;
  readonly rssBytes: number;
  readonly sockets: number;
  readonly descriptors: number;
  readonly lagP99Ms: number;
  /** Memory of windows and fills in a pause, when no request uses it. */
  readonly heldBytes: number;
}

/** A leak exceeds it eventually. */
const RSS_FACTOR = 1.1;
/** The memory that the allocator retains varies by 10 % from one minute to the next, and the median of three by half of that. */
const RSS_MINUTES = 3;
/** The number of keep-alive connections varies by less. */
const MORE_SOCKETS = 5;
const MORE_DESCRIPTORS = 5;
const LAG_FACTOR = 1.5;
/** By then code is compiled, and pools and caches are full. */
const WARM_AFTER = 0.25;

/** The minute of a run with which the last one is compared. */
export function warmMinute(minutes: number): number {
  return Math.max(1, Math.floor(minutes * WARM_AFTER));
}

/** One line for each value that has grown. */
export function growth(minutes: readonly Minute[]): string[] {
  const last = Math.max(...minutes.map(({ minute }) => minute));
  const early = warmMinute(last);
  const found: string[] = [];
  for (const after of minutes.filter(({ minute }) => minute === last)) {
    const before = minutes.find(({ minute, replica }) => minute === early && replica === after.replica);
    if (before === undefined) continue;
    const compare = (what: string, now: number, was: number, limit: number): void => {
      if (now > limit)
        found.push(`${after.replica}: ${what} ${round(now)} in minute ${last}, ${round(was)} in minute ${early}`);
    };
    const memoryMib = (from: number): number =>
      median(
        minutes
          .filter(({ minute, replica }) => replica === after.replica && minute >= from && minute < from + RSS_MINUTES)
          .map(({ rssBytes }) => mib(rssBytes)),
      );
    const earlyMib = memoryMib(early);
    compare('MiB of memory', memoryMib(last - RSS_MINUTES + 1), earlyMib, earlyMib * RSS_FACTOR);
    compare('sockets', after.sockets, before.sockets, before.sockets + MORE_SOCKETS);
    compare('descriptors', after.descriptors, before.descriptors, before.descriptors + MORE_DESCRIPTORS);
    compare('ms of event-loop lag (p99)', after.lagP99Ms, before.lagP99Ms, before.lagP99Ms * LAG_FACTOR);
    compare('MiB not released', mib(after.heldBytes), mib(before.heldBytes), 0);
  }
  return found;
}

function mib(bytes: number): number {
  return bytes / (1024 * 1024);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
