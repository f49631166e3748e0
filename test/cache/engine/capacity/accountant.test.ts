import { describe, expect, it } from 'vitest';
import { Histogram } from '#cache/core/capacity/histogram.ts';
import type { CapacitySettings } from '#cache/core/capacity/settings.ts';
import type { UsageReport } from '#cache/core/capacity/usage-codec.ts';
import { Accountant } from '#cache/engine/capacity/accountant.ts';
import { tickOf } from '#cache/engine/capacity/ticks.ts';
import { capacityRoom, MINUTE_MS } from '#test/support/capacity-room.ts';

const CAPACITY_BYTES = 1_000;
const SHARDS = Array.from({ length: 256 }, (_, shard) => shard);

function open({ capacityBytes, ...changes }: Partial<CapacitySettings> = { capacityBytes: CAPACITY_BYTES }) {
  const { room, clock } = capacityRoom({ minAgeMs: 0, ...changes });
  const accountant = new Accountant(room, { capacityBytes: () => capacityBytes, foreignBytes: () => 0 });
  const nowMinute = room.time.nowMinute();
  /** `bytes` in chunks that were last read over the last thousand minutes, by proven chunks. */
  const report = (covered: readonly number[], bytes: number, more: Partial<UsageReport> = {}): UsageReport => {
    const evictable = new Histogram();
    for (let at = 0; at < 100; at++) evictable.add(tickOf(nowMinute - 1_000 + at, 0), bytes / 100, true);
    return {
      originId: 'test',
      epoch: room.shards.epoch,
      covered,
      bytes,
      chunks: 1,
      pinnedBytes: 0,
      evictable,
      byBucket: new Map([['b', bytes]]),
      isFull: false,
      lastSweepMs: 2,
      oldestSweepMs: 1,
      evictedBytes: { capacity: 0, idle: 0, superseded: 0, full: 0 },
      ...more,
    };
  };
  return { accountant, report, clock, nowMinute };
}

describe('the account', () => {
  it('counts until all shards are reported', () => {
    const { accountant, report } = open();
    const part = accountant.receive(report(SHARDS.slice(0, 255), 5_000));
    expect(part.account).toMatchObject({ state: 'counting', coveredShards: 255, lastSweepMs: undefined });
    expect(part.cutoffMinute).toBeUndefined();
    const { account, cutoffMinute } = accountant.receive(report(SHARDS.slice(255), 5_000));
    expect(account).toMatchObject({ state: 'evicting', usedBytes: 10_000, lastSweepMs: 2, oldestSweepMs: 1 });
    expect(cutoffMinute).toBeDefined();
  });

  it('a report replaces those that cover one of its shards: they are from the same replica', () => {
    const { accountant, report } = open();
    accountant.receive(report(SHARDS.slice(0, 100), 100));
    accountant.receive(report(SHARDS.slice(50, 200), 200));
    expect(accountant.receive(report(SHARDS.slice(200), 300)).account).toMatchObject({
      usedBytes: 500,
      coveredShards: 206,
    });
  });

  it('has no part of a replica with another view, which gets no cutoff', () => {
    const { accountant, report } = open();
    accountant.receive(report(SHARDS, 950));
    const answer = accountant.receive(report([1], 5_000, { epoch: 'other' }));
    expect(answer.account.usedBytes).toBe(950);
    expect(answer.cutoffMinute).toBeUndefined();
    expect(accountant.receive(report(SHARDS, 950)).cutoffMinute).toBeDefined();
  });

  it('forgets a replica that has not reported for two sweeps', async () => {
    const { accountant, report, clock } = open();
    accountant.receive(report(SHARDS.slice(0, 128), 1));
    await clock.advance(120 * MINUTE_MS);
    expect(accountant.receive(report(SHARDS.slice(128), 1)).account.coveredShards).toBe(256);
    await clock.advance(1);
    expect(accountant.receive(report(SHARDS.slice(128), 1)).account.coveredShards).toBe(128);
  });

  it.for([
    { every: 'hour', sweepIntervalMs: 60 * MINUTE_MS, keptMs: 65_000 },
    { every: '10 s', sweepIntervalMs: 10_000, keptMs: 7_500 },
  ])('forgets a report without shards when the next one is late, with a sweep every $every', async (sample) => {
    const { accountant, report, clock } = open({ sweepIntervalMs: sample.sweepIntervalMs });
    const blocked = () => accountant.receive(report(SHARDS, 1)).account.blocked;
    accountant.receive(report([], 0, { deniedReason: 'no' }));
    await clock.advance(sample.keptMs);
    expect(blocked()).toBe('no');
    await clock.advance(1);
    expect(blocked()).toBeUndefined();
  });

  it('refuses the report of another cache', () => {
    const { accountant, report } = open();
    expect(() => accountant.receive(report(SHARDS, 1, { originId: 'other' }))).toThrow(/origin_id differs/);
  });

  it('has the reason why nothing can be evicted', () => {
    const { accountant, report } = open();
    expect(accountant.receive(report(SHARDS, 950, { deniedReason: 'no' })).account).toMatchObject({
      state: 'over_capacity',
      blocked: 'no',
    });
    const pinned = report(SHARDS, 950, { evictable: new Histogram() });
    expect(accountant.receive(pinned).account).toMatchObject({ state: 'over_capacity', blocked: 'nothing_evictable' });
  });

  it('shows that clients read more than fits, if reads of the last hour would be evicted', () => {
    const { accountant, report, nowMinute } = open();
    const evictable = new Histogram();
    evictable.add(tickOf(nowMinute - 10, 0), 950, true);
    expect(accountant.receive(report(SHARDS, 950, { evictable })).account.blocked).toBe('recent');
  });
});

describe('quotas', () => {
  it('together are what is missing, in proportion to what each replica has', () => {
    const { accountant, report } = open();
    accountant.receive(report(SHARDS.slice(0, 64), 250));
    const second = accountant.receive(report(SHARDS.slice(64), 750));
    expect(second.freeBytes).toBeCloseTo(150, -1);
    const first = accountant.receive(report(SHARDS.slice(0, 64), 250));
    expect(first.freeBytes).toBeCloseTo(50, -1);
  });

  it('that were granted count as used until the next report', () => {
    const { accountant, report } = open();
    const young = { evictable: new Histogram() };
    accountant.receive(report(SHARDS.slice(128), 500, young));
    // The only one with chunks that are old enough gets it all.
    expect(accountant.receive(report(SHARDS.slice(0, 128), 500)).freeBytes).toBe(200);
    expect(accountant.receive(report(SHARDS.slice(128), 500)).freeBytes).toBe(0);
    expect(accountant.receive(report(SHARDS.slice(0, 128), 300)).freeBytes).toBeUndefined();
  });
});

describe('a full store', () => {
  const full = { isFull: true };

  it('gets a twentieth of what it has, once, and again when it is full another time', async () => {
    const { accountant, report, clock } = open({});
    const answer = accountant.receive(report(SHARDS, 1_000, full));
    expect(answer).toMatchObject({ urgent: true, freeBytes: 50, account: { state: 'full' } });
    expect(accountant.receive(report(SHARDS, 970, full)).freeBytes).toBe(20);
    // Its replicas have not noticed yet.
    expect(accountant.receive(report(SHARDS, 950, full))).toMatchObject({ urgent: false, account: { state: 'full' } });
    await clock.advance(MINUTE_MS);
    expect(accountant.receive(report(SHARDS, 950)).account.state).toBe('ok');
    expect(accountant.receive(report(SHARDS, 1_000, full)).freeBytes).toBe(50);
  });

  it('gets twice as much each time that was not enough, up to a fifth', async () => {
    const { accountant, report, clock } = open({});
    const freed: number[] = [];
    let usedBytes = 1_000;
    while (freed.length < 4) {
      const { freeBytes = 0 } = accountant.receive(report(SHARDS, usedBytes, full));
      freed.push(freeBytes);
      usedBytes -= freeBytes;
      accountant.receive(report(SHARDS, usedBytes, full));
      await clock.advance(MINUTE_MS);
    }
    expect(freed).toEqual([50, 95, 171, 137]);
  });

  it('is not swept without pauses while nothing may be evicted', () => {
    const { accountant, report } = open({});
    const young = report(SHARDS, 1_000, { ...full, evictable: new Histogram() });
    expect(accountant.receive(young)).toMatchObject({ urgent: false, account: { state: 'full' } });
    expect(accountant.receive(report(SHARDS, 1_000, { ...full, deniedReason: 'no' })).urgent).toBe(false);
  });

  it('is counted without pauses', () => {
    const { accountant, report } = open({});
    expect(accountant.receive(report(SHARDS.slice(1), 1_000, full)).urgent).toBe(true);
  });
});
