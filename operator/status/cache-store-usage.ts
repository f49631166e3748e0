/**
 * `status.cacheStore`: what is in the cachestore, rounded. The figures change with every read and commit, so they are
 * written rarely: at most every 5 minutes, and only after a change of 1 % or a complete sweep.
 */
import { parseQuantity, parseResource, roundQuantity } from '#crds/quantity.ts';
import type { CapacityReport, NamedReport } from '#operator/api/observed.ts';
import type { OrcaCache, OrcaCacheStatus } from '#operator/api/orca-cache.ts';
import { timestamp } from './timestamp.ts';

export type CacheStoreStatus = NonNullable<OrcaCacheStatus['cacheStore']>;

/** One write per cache in this time, which a thousand caches can afford. */
const MIN_INTERVAL_MS = 5 * 60_000;
/** What a person notices in the three digits of a size. */
const MIN_CHANGE = 0.01;
/** The last time that a JavaScript date represents; a later one is not a time. */
const MAX_DATE_MS = 8.64e15;

/** The published figures stay while no replica has better ones: one that has just taken over counts for an hour. */
export function cacheStoreStatus(
  cache: OrcaCache,
  reports: readonly NamedReport[],
  nowMs: number,
): CacheStoreStatus | undefined {
  const published = cache.status?.cacheStore;
  const report = bestReport(reports);
  if (report === undefined) return published;
  const next = figuresOf(cache, report, nowMs);
  return published === undefined || isDue(cache, published, next, report, nowMs) ? next : published;
}

/** Changes when the status may have to be written. A minute's change of much less than 1 % needs no reconcile. */
export function usageDigest(reports: readonly NamedReport[]): readonly string[] {
  const report = bestReport(reports);
  if (report === undefined) return [];
  const { usedBytes, pinnedBytes, capacityBytes } = report;
  const rounded = (bytes: number): string =>
    capacityBytes === undefined || capacityBytes === 0
      ? bytes.toPrecision(2)
      : `${Math.floor(bytes / (capacityBytes * MIN_CHANGE))} %`;
  return [rounded(usedBytes), rounded(pinnedBytes), capacityBytes?.toPrecision(3) ?? ''];
}

/** The newest complete account. Replicas learn it within a minute of each other. */
function bestReport(reports: readonly NamedReport[]): CapacityReport | undefined {
  const complete = reports.flatMap(({ report: { capacity } }) =>
    capacity === undefined || capacity.state === 'counting' ? [] : [capacity],
  );
  const newest = (report: CapacityReport): number => report.lastSweepMs ?? 0;
  return complete.toSorted((left, right) => newest(right) - newest(left))[0];
}

function figuresOf(cache: OrcaCache, report: CapacityReport, nowMs: number): CacheStoreStatus {
  const { capacityBytes, foreignBytes, oldestReadMs, oldestSweepMs } = report;
  const used = roundQuantity(report.usedBytes);
  const capacity = capacityBytes === undefined ? undefined : capacityText(cache, capacityBytes);
  return {
    usage: capacity === undefined ? used : `${used}/${capacity}`,
    used,
    ...(capacity !== undefined && { capacity }),
    chunks: report.chunks,
    pinned: roundQuantity(report.pinnedBytes),
    ...(foreignBytes > 0 && { foreign: roundQuantity(foreignBytes) }),
    ...(isDate(oldestReadMs) && { oldestRead: timestamp(oldestReadMs) }),
    ...(isDate(oldestSweepMs) && { lastSweepTime: timestamp(oldestSweepMs) }),
    updateTime: timestamp(nowMs),
  };
}

/** As the user wrote it, if the replicas have taken it up. */
function capacityText(cache: OrcaCache, capacityBytes: number): string {
  return isAsSpecified(cache, capacityBytes) ? String(cache.spec.cacheStore.capacity) : roundQuantity(capacityBytes);
}

function isAsSpecified(cache: OrcaCache, capacityBytes: number | undefined): boolean {
  return capacityBytes !== undefined && parseQuantity(cache.spec.cacheStore.capacity ?? '') === capacityBytes;
}

function isDue(
  cache: OrcaCache,
  before: CacheStoreStatus,
  next: CacheStoreStatus,
  report: CapacityReport,
  nowMs: number,
): boolean {
  const isLimitEdited =
    before.capacity === undefined || next.capacity === undefined || isAsSpecified(cache, report.capacityBytes);
  // Users expect to see an edited capacity at once. The size of some file systems changes without an edit.
  if (before.capacity !== next.capacity && isLimitEdited) return true;
  const updatedMs = Date.parse(before.updateTime);
  if (nowMs - updatedMs < MIN_INTERVAL_MS) return false;
  return report.oldestSweepMs === undefined || report.oldestSweepMs < updatedMs ? isChanged(before, report) : true;
}

function isChanged(before: CacheStoreStatus, { usedBytes, pinnedBytes, capacityBytes }: CapacityReport): boolean {
  // At least one byte: an empty store stays empty.
  const minBytes = Math.max((capacityBytes ?? usedBytes) * MIN_CHANGE, 1);
  const changed = (text: string | undefined, bytes: number): boolean =>
    Math.abs(bytes - (parseResource(text) ?? 0)) >= minBytes;
  return (
    changed(before.used, usedBytes) ||
    changed(before.pinned, pinnedBytes) ||
    changed(before.capacity, capacityBytes ?? 0)
  );
}

function isDate(ms: number | undefined): ms is number {
  return ms !== undefined && ms <= MAX_DATE_MS;
}
