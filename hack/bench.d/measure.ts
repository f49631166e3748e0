/** One measurement: the clients' work, and what it took the cache. */
import { forgetPeak, usageOf } from './child.ts';
import type { Variant, Work } from './lines.ts';
import { runLoad } from './load.ts';
import { sampleOf, type Effort, type Sample } from './sample.ts';
import type { Base, Target } from './world.ts';

/** V8 has its fast code after some thousand requests. */
const RUN_IN_S = 1.5;

export interface MeasureOptions {
  readonly base: Base;
  readonly target: Target;
  readonly variant: Variant;
  /** For cold work: tells this measurement's objects from all others. */
  readonly serial: string;
}

export async function measure({ base, target, variant, serial }: MeasureOptions): Promise<Sample> {
  const { work } = variant;
  const { latencyMs, bytesPerSecond } = variant.origin ?? { latencyMs: 0, bytesPerSecond: 0 };
  await base.origin.slow(latencyMs, bytesPerSecond);
  if (variant.before !== undefined)
    await runLoad(variant.before, { ...loadOptions(base, target), tag: warmTag(variant.before) });
  forgetPeak(target.pids);
  const before = await effortOf(base, target);
  const tag = variant.state === 'warm' ? warmTag(work) : serial;
  const report = await runLoad(work, { ...loadOptions(base, target), tag });
  // Commits are part of a cold read's work, though no client waits for them.
  await target.idle();
  const after = await effortOf(base, target);
  return sampleOf(work, report, {
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    peakBytes: after.peakBytes,
    originBytes: after.originBytes - before.originBytes,
    storeBytes: difference(after.storeBytes, before.storeBytes),
    servedFromMemory: difference(after.servedFromMemory, before.servedFromMemory),
  });
}

/** Reads each object once, comparing every byte. */
export async function readAll(base: Base, target: Target, variant: Variant): Promise<void> {
  await base.origin.slow(0, 0);
  const { objectBytes, keys } = variant.work;
  const work = { objectBytes, keys, connections: 4, requests: keys, inOrder: true, patient: true };
  await runLoad(work, { ...loadOptions(base, target), tag: warmTag(variant.work), verify: true });
  await target.idle();
}

/** Does a warm variant's work for a while: what a compiler does once is not what is measured. */
export async function runIn(base: Base, target: Target, variant: Variant): Promise<void> {
  const { requests: _, ...work } = variant.work;
  await runLoad(work, { ...loadOptions(base, target), tag: warmTag(variant.work), durationS: RUN_IN_S });
}

/** The objects of warm work: the same for all lines that read as many of that size. */
export function warmTag({ keys }: Pick<Work, 'keys'>): string {
  return `warm-of-${keys}`;
}

function loadOptions({ options }: Base, { urls }: Target) {
  return { binFolder: options.binFolder, urls, durationS: options.durationS };
}

async function effortOf({ origin }: Base, target: Target): Promise<Effort> {
  const { getBytes } = await origin.counts();
  return { ...usageOf(target.pids), originBytes: getBytes, ...(await target.counts()) };
}

function difference(after: number | undefined, before: number | undefined): number | undefined {
  return after === undefined || before === undefined ? undefined : after - before;
}
