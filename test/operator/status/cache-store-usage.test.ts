import { describe, expect, test } from 'vitest';
import type { CapacityReport } from '#operator/api/observed.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { cacheStoreStatus, usageDigest, type CacheStoreStatus } from '#operator/status/cache-store-usage.ts';
import { statusOf } from '#operator/status/status.ts';
import { cacheFrom, MINIMAL } from '#test/operator/caches.ts';
import { capacityReport, NOW_MS, podReport, statusInput } from './states.ts';

const GIB = 2 ** 30;
const MINUTE_MS = 60_000;
const NEW = cacheFrom(MINIMAL);

const named = (...capacities: readonly (CapacityReport | undefined)[]) =>
  capacities.map((capacity, index) => ({ pod: `models-${index}`, report: podReport({ capacity }) }));
const statusFor = (report: CapacityReport, cache = NEW, nowMs = NOW_MS): CacheStoreStatus | undefined =>
  cacheStoreStatus(cache, named(report), nowMs);

/** A cache with the figures that were published at `NOW_MS`. */
function published(report = capacityReport(), cache = NEW): OrcaCache {
  return { ...cache, status: { observedGeneration: 1, cacheStore: statusFor(report, cache)! } };
}

/** Whether the figures are written again, `minutes` after the first time. */
function isWritten(minutes: number, change: Partial<CapacityReport>, before = published()): boolean {
  const next = statusFor(capacityReport(change), before, NOW_MS + minutes * MINUTE_MS);
  return next !== before.status?.cacheStore;
}

describe('the figures of the cachestore', () => {
  test('are rounded', () => {
    const report = capacityReport({ usedBytes: 14.2345 * GIB, foreignBytes: 3.111 * GIB });
    expect(statusFor(report)).toEqual({
      usage: '14.2Gi/20Gi',
      used: '14.2Gi',
      capacity: '20Gi',
      chunks: 1817,
      pinned: '2Gi',
      foreign: '3.11Gi',
      oldestRead: '2026-04-30T00:00:00Z',
      lastSweepTime: '2026-04-30T23:00:00Z',
      updateTime: '2026-05-01T00:00:00Z',
    });
  });

  test('have no capacity, reads and sweeps that are not known', () => {
    const report = capacityReport({ capacityBytes: undefined, oldestReadMs: undefined, oldestSweepMs: 1e300 });
    expect(statusFor(report)).toEqual({
      usage: '14.2Gi',
      used: '14.2Gi',
      chunks: 1817,
      pinned: '2Gi',
      updateTime: '2026-05-01T00:00:00Z',
    });
  });

  test('are absent until the store has been counted once, and stay while a new replica counts', () => {
    const counting = capacityReport({ state: 'counting', usedBytes: GIB });
    expect(cacheStoreStatus(NEW, named(counting, undefined), NOW_MS)).toBeUndefined();
    expect(statusOf(statusInput({ reports: named(counting) }), '0.1.0', NOW_MS)).not.toHaveProperty('cacheStore');
    const before = published();
    expect(statusFor(counting, before, NOW_MS + 3_600_000)).toBe(before.status?.cacheStore);
    expect(cacheStoreStatus(before, [], NOW_MS + 3_600_000)).toBe(before.status?.cacheStore);
  });

  test('are those of the replica that has seen the newest sweep', () => {
    const reports = named(
      capacityReport({ usedBytes: 1 * GIB, lastSweepMs: 1 }),
      capacityReport({ usedBytes: 2 * GIB, lastSweepMs: 3 }),
      undefined,
      capacityReport({ usedBytes: 3 * GIB, lastSweepMs: 2 }),
      capacityReport({ usedBytes: 4 * GIB, lastSweepMs: undefined }),
    );
    expect(cacheStoreStatus(NEW, reports, NOW_MS)?.used).toBe('2Gi');
  });
});

describe('the figures of the cachestore are written again', () => {
  test.for<readonly [string, number, Partial<CapacityReport>, boolean]>([
    ['not while nothing changes', 600, {}, false],
    ['after 5 minutes, with 1 % of the capacity more', 5, { usedBytes: 14.5 * GIB }, true],
    ['not after 4 minutes', 4, { usedBytes: 19 * GIB }, false],
    ['not for less than 1 %', 600, { usedBytes: 14.35 * GIB }, false],
    ['with 1 % of the capacity less', 5, { usedBytes: 13.9 * GIB }, true],
    ['with 1 % more that is pinned', 5, { pinnedBytes: 2.3 * GIB }, true],
    ['after a complete sweep', 70, { oldestSweepMs: NOW_MS + MINUTE_MS }, true],
    ['not after a sweep of some parts', 70, { lastSweepMs: NOW_MS + 3_000_000, oldestSweepMs: NOW_MS - 1 }, false],
    ['not after a complete sweep of a minute', 4, { oldestSweepMs: NOW_MS + 1 }, false],
    ['at once when there is no limit any more', 0, { capacityBytes: undefined }, true],
    ['not at once when the file system has grown', 4, { capacityBytes: 30 * GIB }, false],
    ['after 5 minutes when the file system has grown', 5, { capacityBytes: 30 * GIB }, true],
    ['not when the file system has grown by a little', 600, { capacityBytes: 20.05 * GIB }, false],
  ])('%s', ([, minutes, change, expected]) => {
    expect(isWritten(minutes, change)).toBe(expected);
  });

  test('not while an empty store without a limit stays empty', () => {
    const empty = { usedBytes: 0, chunks: 0, pinnedBytes: 0, capacityBytes: undefined };
    const before = published(capacityReport(empty));
    expect(before.status?.cacheStore?.usage).toBe('0');
    expect(isWritten(600, empty, before)).toBe(false);
    expect(isWritten(600, { ...empty, usedBytes: 1 }, before)).toBe(true);
  });
});

describe('a capacity in the spec', () => {
  const withCapacity = (capacity: string): OrcaCache =>
    cacheFrom(MINIMAL.replace('cacheStore: {', `cacheStore: {capacity: ${capacity}, `));

  test('is shown as it is written', () => {
    expect(statusFor(capacityReport(), withCapacity('20480Mi'))?.usage).toBe('14.2Gi/20480Mi');
  });

  test('that is edited is shown as soon as the replicas use it', () => {
    const cache: OrcaCache = { ...withCapacity('10Gi'), status: published().status! };
    expect(statusFor(capacityReport(), cache)?.usage).toBe('14.2Gi/20Gi');
    expect(statusFor(capacityReport({ capacityBytes: 10 * GIB }), cache)?.usage).toBe('14.2Gi/10Gi');
  });
});

describe('usageDigest', () => {
  const digest = (report: CapacityReport): string => JSON.stringify(usageDigest(named(report)));
  const before = digest(capacityReport({ usedBytes: 14.25 * GIB }));

  test('ignores what is not written', () => {
    const same = { usedBytes: 14.3 * GIB, chunks: 5, oldestReadMs: 1, oldestSweepMs: 2, lastSweepMs: 3 };
    expect(digest(capacityReport(same))).toBe(before);
  });

  test.for<readonly [string, Partial<CapacityReport>]>([
    ['1 % more', { usedBytes: 14.45 * GIB }],
    ['1 % more that is pinned', { pinnedBytes: 2.2 * GIB }],
    ['a new capacity', { capacityBytes: 21 * GIB }],
    ['no capacity', { capacityBytes: undefined }],
    ['a capacity of nothing', { capacityBytes: 0 }],
    ['the first count', { state: 'counting' }],
  ])('changes with %s', ([, change]) => {
    expect(digest(capacityReport({ usedBytes: 14.25 * GIB, ...change }))).not.toBe(before);
  });
});
