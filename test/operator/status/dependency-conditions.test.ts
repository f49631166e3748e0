import { describe, expect, test } from 'vitest';
import type { NamedReport, PodReport, StoreReport } from '#operator/api/observed.ts';
import { cacheStoreReady } from '#operator/status/cache-store-ready.ts';
import { originReachable } from '#operator/status/origin-reachable.ts';
import { runtimeApplied } from '#operator/status/runtime-applied.ts';
import { pollIntervalMs, dependencyDigest } from '#operator/status/dependency-conditions.ts';

const STORE: StoreReport = {
  breaker: 'closed',
  full: false,
  condition: 'atomic',
  message: 'atomic: exactly one of many writers wins',
  problems: [],
  versioned: false,
};
const GOOD: PodReport = {
  failing: [],
  buckets: [
    { name: 'a', state: 'reachable', message: '' },
    { name: 'b', state: 'reachable', message: '' },
  ],
  brokenBuckets: [],
  store: STORE,
  identityConflict: undefined,
  runtimeProblems: [],
};
const OLDER: PodReport = {
  failing: [],
  buckets: undefined,
  brokenBuckets: [],
  store: undefined,
  identityConflict: undefined,
  runtimeProblems: undefined,
};

const bucket = (state: string, message = ''): PodReport => ({ ...GOOD, buckets: [{ name: 'a', state, message }] });
const store = (of: Partial<StoreReport>): PodReport => ({ ...GOOD, store: { ...STORE, ...of } });
const named = (...reports: readonly PodReport[]): NamedReport[] =>
  reports.map((report, index) => ({ pod: `models-${index}`, report }));

describe('OriginReachable', () => {
  test.for<readonly [string, readonly PodReport[], string]>([
    ['nobody is there to ask', [], 'Unknown NoReport'],
    ['pods are of a version that does not say', [OLDER], 'Unknown NoReport'],
    ['nobody has asked the origin yet', [bucket('unknown')], 'Unknown NotProbed'],
    ['every bucket answers', [GOOD], 'True Reachable'],
    [
      'some bucket was not asked yet',
      [{ ...GOOD, buckets: [...bucket('unknown').buckets!, ...GOOD.buckets!] }],
      'True Reachable',
    ],
    ['a new pod has not asked yet', [bucket('unknown'), GOOD], 'True Reachable'],
    ['one pod of several does not reach a bucket', [GOOD, bucket('failed', 'refused'), GOOD], 'False Unreachable'],
    ['requests fail between two probes', [{ ...GOOD, brokenBuckets: ['acme-a'] }], 'False Unreachable'],
    ['lists are denied', [bucket('list_denied')], 'Unknown ListDenied'],
    [
      'lists are denied to one and another reaches nothing',
      [bucket('list_denied'), bucket('failed')],
      'False Unreachable',
    ],
    ['a pod says what this version does not know', [bucket('splendid')], 'Unknown NotProbed'],
  ])('when %s', ([, reports, expected]) => {
    const { status, reason } = originReachable({ reports: named(...reports) });
    expect(`${status} ${reason}`).toBe(expected);
  });

  test('names the buckets, what was said, and who said it', () => {
    const report = { ...GOOD, buckets: ['b', 'a'].map((name) => ({ name, state: 'failed', message: 'refused' })) };
    expect(originReachable({ reports: named(GOOD, report) }).message).toBe('bucket a, b: refused (pod models-1)');
  });
});

describe('RuntimeApplied', () => {
  const mistaken = { ...GOOD, runtimeProblems: ['chunking.readahead: must be at most 64', 'logLevel: is no level'] };

  test.for<readonly [string, readonly PodReport[], string]>([
    ['nobody is there to ask', [], 'Unknown NoReport'],
    ['pods are of a version that does not say', [OLDER], 'Unknown NoReport'],
    ['all is in force', [OLDER, GOOD], 'True Applied'],
    ['one pod can’t read a value', [GOOD, mistaken, GOOD], 'False InvalidValue'],
  ])('when %s', ([, reports, expected]) => {
    const { status, reason } = runtimeApplied({ reports: named(...reports) });
    expect(`${status} ${reason}`).toBe(expected);
  });

  test('names the values and the pod', () => {
    expect(runtimeApplied({ reports: named(GOOD, mistaken) }).message).toBe(
      'the last good value stays: chunking.readahead: must be at most 64; logLevel: is no level (pod models-1)',
    );
    expect(dependencyDigest(named(mistaken))).not.toBe(dependencyDigest(named(GOOD)));
  });
});

describe('CacheStoreReady', () => {
  test.for<readonly [string, readonly PodReport[], string]>([
    ['nobody is there to ask', [], 'Unknown NoReport'],
    ['pods are of a version that does not say', [OLDER], 'Unknown NoReport'],
    ['nobody knows the store yet', [store({ condition: 'unknown' })], 'Unknown NotProbed'],
    ['one of many writers wins', [GOOD], 'True Atomic'],
    ['several win', [store({ condition: 'racy' })], 'True Racy'],
    ['conditions are ignored', [store({ condition: 'ignored' })], 'True Ignored'],
    ['conditions are not known there', [store({ condition: 'unsupported' })], 'True Unsupported'],
    ['conflicts don’t end', [store({ condition: 'conflicting' })], 'True Conflicting'],
    ['the bucket is versioned', [store({ versioned: true })], 'True Versioned'],
    ['the bucket is versioned and racy', [store({ versioned: true, condition: 'racy' })], 'True Racy'],
    ['it is full', [store({ full: true })], 'False Full'],
    ['it does not answer', [store({ breaker: 'open', full: true })], 'False Unreachable'],
    ['it is asked whether it is back', [store({ breaker: 'probing' })], 'False Unreachable'],
    ['it gives back other bytes', [store({ problems: ['bytes'] })], 'False Incompatible'],
    ['it only keeps what is deleted', [store({ problems: ['delete'] })], 'True Atomic'],
    ['the origin id is another’s', [{ ...GOOD, identityConflict: 'http://other' }], 'False IdentityConflict'],
    ['one pod of several has trouble', [GOOD, GOOD, store({ full: true })], 'False Full'],
    ['a new pod does not know yet', [store({ condition: 'unknown' }), GOOD], 'True Atomic'],
  ])('when %s', ([, reports, expected]) => {
    const { status, reason } = cacheStoreReady({ reports: named(...reports) });
    expect(`${status} ${reason}`).toBe(expected);
  });

  test('says both that the bucket is versioned and what its conditions are worth', () => {
    const { message } = cacheStoreReady({ reports: named(store({ versioned: true, message: 'racy: several won' })) });
    expect(message).toBe('the bucket is versioned: nothing is ever freed there; racy: several won');
  });
});

describe('a look at the pods', () => {
  test('is soon worth another while they have not found out themselves, and seldom afterwards', () => {
    expect(pollIntervalMs(named(bucket('unknown')))).toBe(10_000);
    expect(pollIntervalMs(named(store({ condition: 'unknown' })))).toBe(10_000);
    expect([pollIntervalMs(named(GOOD)), pollIntervalMs(named(OLDER)), pollIntervalMs([])]).toEqual([
      60_000, 60_000, 60_000,
    ]);
  });
});

describe('what is worth a new status', () => {
  test('is not the same trouble in other words, or seen by another pod', () => {
    const before = dependencyDigest(named(GOOD, bucket('failed', 'request id 1')));
    expect(dependencyDigest(named(bucket('failed', 'request id 2'), GOOD))).toBe(before);
  });

  test('is another trouble, and its end', () => {
    const digests = [
      [GOOD],
      [],
      [bucket('failed')],
      [{ ...GOOD, buckets: [{ name: 'b', state: 'failed', message: '' }] }],
      [store({ full: true })],
    ].map((reports) => dependencyDigest(named(...reports)));
    expect(new Set(digests).size).toBe(digests.length);
  });
});
