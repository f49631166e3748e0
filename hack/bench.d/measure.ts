/** One measurement: runs the clients' work and records the resources that the cache uses. */
import { setTimeout as delay } from 'node:timers/promises';
import { resetPeak, usageOf } from './child.ts';
import type { Variant, Work } from './lines.ts';
import { runLoad, type LoadReport } from './load.ts';
import { sampleOf, type ResourceUse, type Sample } from './sample.ts';
import type { Base, Target } from './environment.ts';

/** In the first seconds, V8's compilers use a tenth of the CPU time of small reads. */
const WARM_UP_S = 5;
/** A quick run measures no time. */
const QUICK_WARM_UP_S = 0.5;
/** Longer than a replica skips a peer that was dead. */
const SKIP_DEAD_MS = 6_000;

export interface MeasureOptions {
  readonly base: Base;
  readonly target: Target;
  readonly variant: Variant;
  /** Part of the key of cold objects, so that each measurement reads different ones. */
  readonly serial: string;
}

export async function measure({ base, target, variant, serial }: MeasureOptions): Promise<Sample> {
  const { work } = variant;
  const { latencyMs, bytesPerSecond } = variant.origin ?? { latencyMs: 0, bytesPerSecond: 0 };
  await base.origin.throttle(latencyMs, bytesPerSecond);
  if (variant.before !== undefined)
    await runLoad(variant.before, { ...loadOptions(base, target), tag: warmTag(variant.before) });
  if (variant.freezes) await meetPeers(base, target, work, serial);
  resetPeak(target.pids);
  const startedMs = Date.now();
  const before = await resourceUseOf(base, target);
  const tag = variant.state === 'warm' ? warmTag(work) : serial;
  const report = variant.freezes
    ? await runFrozen(base, target, work, tag)
    : await runLoad(work, { ...loadOptions(base, target), tag });
  // Includes the commits of a cold read, which no client waits for.
  await target.idle();
  const after = await resourceUseOf(base, target);
  if (variant.state === 'cold') await target.removeStoredSince(startedMs);
  return sampleOf(variant, report, {
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    peakBytes: after.peakBytes,
    originBytes: after.originBytes - before.originBytes,
    storeMisses: difference(after.storeMisses, before.storeMisses),
    storeBytes: difference(after.storeBytes, before.storeBytes),
    servedFromMemory: difference(after.servedFromMemory, before.servedFromMemory),
  });
}

const wasFrozen = new WeakSet<Target>();

/** A replica judges the silence of another one sooner if it has had responses from it: cold reads cause some. */
async function meetPeers(base: Base, target: Target, work: Work, serial: string): Promise<void> {
  if (wasFrozen.has(target)) await delay(SKIP_DEAD_MS);
  wasFrozen.add(target);
  await runLoad(work, { ...loadOptions(base, target), tag: `${serial}-before` });
  await target.idle();
}

/** Stops the last replica while clients read through the other ones. */
async function runFrozen(base: Base, target: Target, work: Work, tag: string): Promise<LoadReport> {
  const frozen = target.replicas?.at(-1) ?? [];
  for (const pid of frozen) process.kill(pid, 'SIGSTOP');
  try {
    return await runLoad(work, { ...loadOptions(base, target), urls: target.urls.slice(0, -1), tag });
  } finally {
    for (const pid of frozen) process.kill(pid, 'SIGCONT');
  }
}

/** Reads each object once, comparing every byte. */
export async function readAll(base: Base, target: Target, variant: Variant): Promise<void> {
  await base.origin.throttle(0, 0);
  const { objectBytes, keys } = variant.work;
  const work = { objectBytes, keys, connections: 4, requests: keys, inOrder: true, retriesRefused: true };
  await runLoad(work, { ...loadOptions(base, target), tag: warmTag(variant.work), verify: true });
  await target.idle();
}

/** Runs warm work for a short time first, so that the measurement excludes compilation by V8. */
export async function warmUp(base: Base, target: Target, variant: Variant): Promise<void> {
  const { requests: _, ...work } = variant.work;
  const durationS = base.options.quick ? QUICK_WARM_UP_S : WARM_UP_S;
  await runLoad(work, { ...loadOptions(base, target), tag: warmTag(variant.work), durationS });
}

/** Part of the key of warm objects, shared by all lines with the same number of objects of that size. */
export function warmTag({ keys }: Pick<Work, 'keys'>): string {
  return `warm-of-${keys}`;
}

function loadOptions({ options }: Base, { urls }: Target) {
  return { binFolder: options.binFolder, urls, durationS: options.durationS, verify: options.quick };
}

async function resourceUseOf({ origin }: Base, target: Target): Promise<ResourceUse> {
  const { getBytes } = await origin.counts();
  return { ...usageOf(target.pids), originBytes: getBytes, ...(await target.counts()) };
}

function difference(after: number | undefined, before: number | undefined): number | undefined {
  return after === undefined || before === undefined ? undefined : after - before;
}
