import { describe, expect, test } from 'vitest';
import type { CapacityReport, NamedReport, PodReport, StoreReport } from '#operator/api/observed.ts';
import { cacheStoreReady } from '#operator/status/cache-store-ready.ts';
import { dependencyDigest, pollIntervalMs } from '#operator/status/dependency-conditions.ts';
import { originReachable } from '#operator/status/origin-reachable.ts';
import { runtimeApplied } from '#operator/status/runtime-applied.ts';
import { cacheFrom, MINIMAL } from '#test/operator/caches.ts';
import { capacityReport } from './states.ts';

const STORE: StoreReport = {
  breaker: 'closed',
  full: false,
  condition: 'atomic',
  message: 'atomic: exactly one of many writers wins',
  problems: [],
  versioned: false,
  hung: 0,
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
  workers: [],
  capacity: undefined,
  runtimeProblems: [],
};
const OLDER: PodReport = {
  failing: [],
  buckets: undefined,
  brokenBuckets: [],
  store: undefined,
  identityConflict: undefined,
  workers: [],
  capacity: undefined,
  runtimeProblems: undefined,
};

const bucket = (state: string, message = ''): PodReport => ({ ...GOOD, buckets: [{ name: 'a', state, message }] });
const store = (of: Partial<StoreReport>): PodReport => ({ ...GOOD, store: { ...STORE, ...of } });
const capacity = (of: Partial<CapacityReport>, ofStore: Partial<StoreReport> = {}): PodReport => ({
  ...store(ofStore),
  capacity: capacityReport(of),
});
const CONDITION_FIELDS = {
  status: 'False',
  reason: 'OverCapacity',
  observedGeneration: 1,
  lastTransitionTime: '2026-01-01T00:00:00Z',
} as const;
const named = (...reports: readonly PodReport[]): NamedReport[] =>
  reports.map((report, index) => ({ pod: `models-${index}`, report }));

describe('OriginReachable', () => {
  test.for<readonly [string, readonly PodReport[], string]>([
    ['there are no reports', [], 'Unknown NoReport'],
    ['pods run a version that does not report it', [OLDER], 'Unknown NoReport'],
    ['no pod has probed the origin yet', [bucket('unknown')], 'Unknown NotProbed'],
    ['every bucket responds', [GOOD], 'True Reachable'],
    [
      'one bucket has not been probed yet',
      [{ ...GOOD, buckets: [...bucket('unknown').buckets!, ...GOOD.buckets!] }],
      'True Reachable',
    ],
    ['a new pod has not probed yet', [bucket('unknown'), GOOD], 'True Reachable'],
    ['one of several pods does not reach a bucket', [GOOD, bucket('failed', 'refused'), GOOD], 'False Unreachable'],
    ['a circuit breaker is open between two probes', [{ ...GOOD, brokenBuckets: ['acme-a'] }], 'False Unreachable'],
    ['listing is denied', [bucket('list_denied')], 'Unknown ListDenied'],
    [
      'listing is denied to one pod and another does not reach the bucket',
      [bucket('list_denied'), bucket('failed')],
      'False Unreachable',
    ],
    ['a pod reports an unknown state', [bucket('not-a-state')], 'Unknown NotProbed'],
  ])('when %s', ([, reports, expected]) => {
    const { status, reason } = originReachable({ reports: named(...reports) });
    expect(`${status} ${reason}`).toBe(expected);
  });

  test('names the buckets, the error and the pod', () => {
    const report = { ...GOOD, buckets: ['b', 'a'].map((name) => ({ name, state: 'failed', message: 'refused' })) };
    expect(originReachable({ reports: named(GOOD, report) }).message).toBe('buckets a, b: refused (pod models-1)');
  });
});

describe('messages about an open circuit breaker', () => {
  test('name the dependency, the field to check and the pod', () => {
    const reports = named({ ...GOOD, brokenBuckets: ['acme-b', 'acme-a'], store: { ...STORE, breaker: 'open' } });
    expect([originReachable({ reports }).message, cacheStoreReady({ reports }).message]).toEqual([
      'circuit breaker open for buckets acme-a, acme-b: requests to the origin keep failing; check the server and spec.origin (pod models-0)',
      'circuit breaker open: requests to the cachestore keep failing; check the server and spec.cacheStore (pod models-0)',
    ]);
  });
});

describe('RuntimeApplied', () => {
  const invalid = { ...GOOD, runtimeProblems: ['chunking.readahead: must be at most 64', 'logLevel: is not a level'] };

  test.for<readonly [string, readonly PodReport[], string]>([
    ['there are no reports', [], 'Unknown NoReport'],
    ['pods run a version that does not report it', [OLDER], 'Unknown NoReport'],
    ['all settings are in use', [OLDER, GOOD], 'True Applied'],
    ['one pod has an invalid value', [GOOD, invalid, GOOD], 'False InvalidValue'],
  ])('when %s', ([, reports, expected]) => {
    const { status, reason } = runtimeApplied({ reports: named(...reports) });
    expect(`${status} ${reason}`).toBe(expected);
  });

  test('names the invalid fields and the pod', () => {
    expect(runtimeApplied({ reports: named(GOOD, invalid) }).message).toBe(
      'the last valid value stays in use: chunking.readahead: must be at most 64; logLevel: is not a level (pod models-1)',
    );
    expect(dependencyDigest(named(invalid))).not.toBe(dependencyDigest(named(GOOD)));
  });
});

describe('CacheStoreReady', () => {
  test.for<readonly [string, readonly PodReport[], string]>([
    ['there are no reports', [], 'Unknown NoReport'],
    ['pods run a version that does not report it', [OLDER], 'Unknown NoReport'],
    ['no pod has probed the store yet', [store({ condition: 'unknown' })], 'Unknown NotProbed'],
    ['exactly one of many writers wins', [GOOD], 'True Atomic'],
    ['several writers win', [store({ condition: 'racy' })], 'True Racy'],
    ['If-None-Match is ignored', [store({ condition: 'ignored' })], 'True Ignored'],
    ['If-None-Match is not supported', [store({ condition: 'unsupported' })], 'True Unsupported'],
    ['conflicts do not end', [store({ condition: 'conflicting' })], 'True Conflicting'],
    ['its volume hangs', [store({ breaker: 'open', hung: 4 })], 'False MountHung'],
    [
      'its volume hangs on one pod, and another has an open breaker',
      [store({ breaker: 'open' }), store({ breaker: 'probing', hung: 1 })],
      'False MountHung',
    ],
    ['one operation hangs, and others succeed', [store({ hung: 1 })], 'True Atomic'],
    ['the bucket is versioned', [store({ versioned: true })], 'True Versioned'],
    ['the bucket is versioned and racy', [store({ versioned: true, condition: 'racy' })], 'True Racy'],
    ['the store is full', [store({ full: true })], 'False Full'],
    ['the circuit breaker is open', [store({ breaker: 'open', full: true })], 'False Unreachable'],
    ['the circuit breaker is half-open', [store({ breaker: 'probing' })], 'False Unreachable'],
    ['the store returns different bytes', [store({ problems: ['bytes'] })], 'False Incompatible'],
    ['a replica of an older release could not delete', [store({ problems: ['delete'] })], 'True Atomic'],
    ['a replica of an older release has a full store', [OLDER, store({ full: true })], 'False Full'],
    ['the store is counted', [capacity({ state: 'counting' })], 'True Atomic'],
    ['chunks are evicted', [capacity({ state: 'evicting' })], 'True Atomic'],
    ['the probe could not delete', [capacity({}, { problems: ['delete'] })], 'False EvictionDenied'],
    ['the probe could not list', [capacity({}, { problems: ['list'] })], 'False EvictionDenied'],
    ['a sweep was refused', [capacity({ evictionDenied: 'AccessDenied' })], 'False EvictionDenied'],
    ['the store is incompatible and denies', [capacity({}, { problems: ['list', 'bytes'] })], 'False Incompatible'],
    ['nothing may be evicted', [capacity({ state: 'over_capacity', blocked: 'x' })], 'False OverCapacity'],
    ['recently read chunks are evicted', [capacity({ state: 'evicting', blocked: 'recent' })], 'False OverCapacity'],
    [
      'the store is above its watermark because it denies',
      [capacity({ state: 'over_capacity', evictionDenied: 'AccessDenied' })],
      'False EvictionDenied',
    ],
    ['the account is that of a full store', [capacity({ state: 'full' })], 'False Full'],
    ['the store is full and denies', [capacity({ state: 'full', evictionDenied: 'AccessDenied' })], 'False Full'],
    [
      'the circuit breaker is open and the store denies',
      [capacity({ state: 'full' }, { breaker: 'open' })],
      'False Unreachable',
    ],
    [
      'the origin id belongs to another origin',
      [{ ...GOOD, identityConflict: 'http://other' }],
      'False IdentityConflict',
    ],
    ['one of several pods reports a problem', [GOOD, GOOD, store({ full: true })], 'False Full'],
    ['a new pod has not probed yet', [store({ condition: 'unknown' }), GOOD], 'True Atomic'],
  ])('when %s', ([, reports, expected]) => {
    const { status, reason } = cacheStoreReady({ reports: named(...reports) });
    expect(`${status} ${reason}`).toBe(expected);
  });

  test('quotes an identity conflict, which names its field itself', () => {
    const identityConflict = 'origin.id models-eu is registered in this cachestore for s3 a.example.org';
    expect(cacheStoreReady({ reports: named({ ...GOOD, identityConflict }) }).message).toBe(
      `${identityConflict} (pod models-0)`,
    );
  });

  test('reports both the versioned bucket and the conditional writes', () => {
    const { message } = cacheStoreReady({ reports: named(store({ versioned: true, message: 'racy: several won' })) });
    expect(message).toBe(
      'the bucket is versioned, so deleted chunks still take space; disable versioning or expire old versions; racy: several won',
    );
  });
});

describe('messages about space in the cachestore', () => {
  const messageOf = (report: PodReport): string => cacheStoreReady({ reports: named(report) }).message;
  const FULL = 'no space left: stored chunks are read, new ones are not added';
  const DENIED =
    'chunks cannot be evicted: check that the credentials may list, read and delete objects in the cachestore';
  const NOTHING = 'the remaining chunks are pinned, or younger than spec.cacheStore.minAge';

  test.for<readonly [string, PodReport, string]>([
    ['a full store of an older release', store({ full: true }), `${FULL}; free space or enlarge the cachestore`],
    [
      'a full store',
      capacity({ state: 'full' }),
      `${FULL} until eviction has freed some; keep spec.cacheStore.capacity below the size of the store`,
    ],
    [
      'a full store of pinned chunks',
      capacity({ state: 'full', blocked: 'nothing_evictable' }),
      `${FULL}; ${NOTHING}; enlarge the cachestore, or remove pins`,
    ],
    ['a full store that denies', capacity({ state: 'full', evictionDenied: 'AccessDenied' }), `${FULL}; ${DENIED}`],
    [
      'pinned chunks',
      capacity({ state: 'over_capacity', blocked: 'nothing_evictable' }),
      `above the high watermark, and ${NOTHING}; raise spec.cacheStore.capacity, or remove pins`,
    ],
    [
      'a working set that is too large',
      capacity({ state: 'evicting', blocked: 'recent' }),
      'chunks that were read within the last hour are evicted: clients read more than the cachestore holds; raise spec.cacheStore.capacity',
    ],
    [
      'an unknown obstacle',
      capacity({ state: 'over_capacity', blocked: 'constructor' }),
      'above the high watermark, and eviction does not help',
    ],
    ['a refusal', capacity({ evictionDenied: 'AccessDenied' }), `${DENIED}: AccessDenied`],
    ['a refused probe', capacity({}, { problems: ['list'] }), DENIED],
    [
      'a refusal above the watermark',
      capacity({ state: 'over_capacity', evictionDenied: 'AccessDenied' }),
      `above the high watermark, and ${DENIED}: AccessDenied`,
    ],
  ])('name cause and remedy: %s', ([, report, expected]) => {
    expect(messageOf(report)).toBe(`${expected} (pod models-0)`);
  });

  describe('when the store is too small for what clients read', () => {
    const RECENT = 'chunks that were read within the last hour are evicted';
    const now = { lastSweepMs: 7_200_000, oldestReadMs: 3_700_000 };
    const atLowWatermark = { ...now, usedBytes: 16 * 2 ** 30 };
    const messageAfter = (published: string, report: Partial<CapacityReport>): string => {
      const conditions = [{ ...CONDITION_FIELDS, type: 'CacheStoreReady', message: published }];
      const cache = { ...cacheFrom(MINIMAL), status: { observedGeneration: 1, conditions } };
      return cacheStoreReady({ reports: named(capacity(report)), cache }).message;
    };

    test('stay after each eviction, while all of it was read within an hour', () => {
      expect(messageAfter(`${RECENT}: x`, atLowWatermark)).not.toContain(RECENT);
      const [published] = [messageOf(capacity({ state: 'over_capacity', blocked: 'recent' }))];
      expect(messageAfter(published, atLowWatermark)).toContain(RECENT);
      expect(messageAfter(published, { ...atLowWatermark, state: 'evicting' })).toContain(RECENT);
    });

    test.for<readonly [string, Partial<CapacityReport>]>([
      ['something was not read for an hour', { ...atLowWatermark, oldestReadMs: 3_600_000 }],
      ['there is space again', { ...atLowWatermark, usedBytes: 14 * 2 ** 30 }],
      ['there is no limit any more', { ...atLowWatermark, capacityBytes: undefined }],
      ['nothing may be evicted', { ...atLowWatermark, oldestReadMs: undefined }],
    ])('end when %s', ([, report]) => {
      const published = messageOf(capacity({ state: 'over_capacity', blocked: 'recent' }));
      expect(messageAfter(published, report)).not.toContain(RECENT);
    });

    test('do not begin with a new store that is filled within an hour', () => {
      expect(messageAfter('atomic: exactly one of many writers wins', atLowWatermark)).not.toContain(RECENT);
    });
  });

  test('stay while only the quoted answer changes', () => {
    const digests = ['request 1', 'request 2'].map((evictionDenied) =>
      dependencyDigest(named(capacity({ evictionDenied }))),
    );
    expect(digests[0]).toBe(digests[1]);
  });
});

describe('pollIntervalMs', () => {
  test('is 10 s until the pods have probed, and 60 s afterwards', () => {
    expect(pollIntervalMs(named(bucket('unknown')))).toBe(10_000);
    expect(pollIntervalMs(named(store({ condition: 'unknown' })))).toBe(10_000);
    expect([pollIntervalMs(named(GOOD)), pollIntervalMs(named(OLDER)), pollIntervalMs([])]).toEqual([
      60_000, 60_000, 60_000,
    ]);
  });
});

describe('dependencyDigest', () => {
  test('ignores the quoted error text and the reporting pod', () => {
    const before = dependencyDigest(named(GOOD, bucket('failed', 'request id 1')));
    expect(dependencyDigest(named(bucket('failed', 'request id 2'), GOOD))).toBe(before);
  });

  test('changes with every other problem and with recovery', () => {
    const digests = [
      [GOOD],
      [],
      [bucket('failed')],
      [{ ...GOOD, buckets: [{ name: 'b', state: 'failed', message: '' }] }],
      [store({ full: true })],
      [capacity({ evictionDenied: 'AccessDenied' })],
      [capacity({ usedBytes: 30 * 2 ** 30 })],
    ].map((reports) => dependencyDigest(named(...reports)));
    expect(new Set(digests).size).toBe(digests.length);
  });
});
