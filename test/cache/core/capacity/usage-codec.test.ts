import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OTHER_BUCKET } from '#cache/core/capacity/bucket-names.ts';
import { ageClasses, formatAccount, parseAccount } from '#cache/core/capacity/store-account.ts';
import {
  decodePublishedUsage,
  decodeUsageAnswer,
  decodeUsageReport,
  encodePublishedUsage,
  encodeUsageAnswer,
  encodeUsageReport,
  MAX_USAGE_BYTES,
  type UsageReport,
} from '#cache/core/capacity/usage-codec.ts';
import { damagedBytes, histogramOf, ORIGIN_ID, sizeBytes, storeAccount, usageReport } from '#test/support/capacity.ts';
import { outcomeOf, RUNS } from '#test/support/fuzz.ts';

const answer = fc
  .record({
    account: storeAccount,
    cutoffMinute: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true, min: 0 }), { nil: undefined }),
    urgent: fc.boolean(),
  })
  .map(({ cutoffMinute, ...rest }) => ({ ...rest, ...(cutoffMinute !== undefined && { cutoffMinute }) }));

function plain({ evictable, ...report }: UsageReport): unknown {
  return { ...report, evictable: evictable.compact().entries() };
}

const someReport = fc.sample(usageReport, { numRuns: 1, seed: 1 })[0]!;
const someAccount = fc.sample(storeAccount, { numRuns: 1, seed: 1 })[0]!;

describe('a report of usage', () => {
  it('is the one that was sent', () => {
    fc.assert(
      fc.property(usageReport, (sent) => {
        expect(plain(decodeUsageReport(encodeUsageReport(sent)))).toEqual(plain(sent));
      }),
      { numRuns: RUNS },
    );
  });

  it('of many buckets, fits into its limit with the same sum', () => {
    const byBucket = new Map(Array.from({ length: 1_000 }, (_, at) => [`${at}`.padEnd(200, 'x'), 1e12 + at]));
    const { byBucket: decoded } = decodeUsageReport(encodeUsageReport({ ...someReport, byBucket }));
    const sum = (bytes: ReadonlyMap<string, number>): number => [...bytes.values()].reduce((all, one) => all + one, 0);
    expect(sum(decoded)).toBe(sum(byBucket));
    expect(decoded.size).toBeGreaterThan(100);
    expect(decoded.has('999'.padEnd(200, 'x'))).toBe(true);
    expect(decoded.get(OTHER_BUCKET)).toBeGreaterThan(0);
  });

  it('has a reason of bounded length', () => {
    const encoded = encodeUsageReport({ ...someReport, deniedReason: `${'x'.repeat(299)}🐳` });
    expect(decodeUsageReport(encoded).deniedReason).toHaveLength(300);
  });

  it('damaged, is refused or another report, and nothing else', () => {
    fc.assert(
      fc.property(
        usageReport.chain((sent) => damagedBytes(encodeUsageReport(sent))),
        (bytes) => {
          const outcome = outcomeOf(() => decodeUsageReport(bytes), 'bad_request');
          if ('value' in outcome) expect(outcome.value.chunks).toBeGreaterThanOrEqual(0);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it.each([
    ['a shard that occurs twice', { covered: [1, 1] }],
    ['a shard that does not exist', { covered: [256] }],
    ['no shards', { covered: undefined }],
    ['a negative size', { bytes: -1 }],
    ['a size that is not exact', { pinnedBytes: 2 ** 60 }],
    ['no histogram', { evictable: null }],
    ['no evicted bytes', { evictedBytes: { capacity: 1 } }],
    ['a reason without end', { deniedReason: 'x'.repeat(301) }],
    ['an origin that is a path', { originId: 'a/b' }],
    ['no answer to whether the store is full', { isFull: 'no' }],
  ])('with %s, is refused', (_, fields) => {
    const sent = JSON.parse(Buffer.from(encodeUsageReport(someReport)).toString()) as object;
    const bytes = Buffer.from(JSON.stringify({ ...sent, ...fields }));
    expect(() => decodeUsageReport(bytes)).toThrow(expect.objectContaining({ code: 'bad_request' }));
  });

  it.each(['', 'null', '[]', '{', '"x"', '{"__proto__":{"bytes":1}}', '\uFFFD'])('%j is refused', (text) => {
    expect(() => decodeUsageReport(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'bad_request' }));
    expect(() => decodeUsageReport(Buffer.from([0xff, 0xfe]))).toThrow('malformed');
    expect(() => decodeUsageReport(Buffer.alloc(MAX_USAGE_BYTES + 1, ' '))).toThrow('malformed');
  });
});

describe('an answer', () => {
  it('is the one that was sent', () => {
    fc.assert(
      fc.property(answer, (sent) => {
        expect(decodeUsageAnswer(encodeUsageAnswer(sent))).toEqual(sent);
      }),
      { numRuns: RUNS },
    );
  });

  it('of many buckets, fits into its limit', () => {
    const byBucket = new Map(Array.from({ length: 1_000 }, (_, at) => [`${at}`.padEnd(255, 'x'), at]));
    const bytes = encodeUsageAnswer({ account: { ...someAccount, byBucket }, urgent: true });
    expect(bytes.length).toBeLessThanOrEqual(MAX_USAGE_BYTES);
    expect(decodeUsageAnswer(bytes).account.byBucket.size).toBeGreaterThan(100);
  });

  it.each([
    ['no account', {}],
    ['a cutoff that is a text', { account: formatAccount(someAccount), urgent: true, cutoffMinute: '5' }],
    ['no urgency', { account: formatAccount(someAccount) }],
    ['an unknown state', { account: { ...formatAccount(someAccount), state: 'fine' }, urgent: true }],
    ['too many ages', { account: { ...formatAccount(someAccount), byAge: Array.from({ length: 33 }) }, urgent: true }],
  ])('with %s, is refused', (_, fields) => {
    expect(() => decodeUsageAnswer(Buffer.from(JSON.stringify(fields)))).toThrow(
      expect.objectContaining({ code: 'peer_unavailable' }),
    );
  });
});

describe('an account', () => {
  it('has the bytes by age, and all of them', () => {
    const now = 10_000_000;
    const histogram = histogramOf([
      { minute: now, bytes: 1, isProven: true },
      { minute: now - 9, bytes: 2, isProven: false },
      { minute: now - 10, bytes: 4, isProven: true },
      { minute: now - 1_439, bytes: 8, isProven: true },
      { minute: now - 1_440, bytes: 16, isProven: true },
      { minute: 1, bytes: 32, isProven: false },
    ]);
    const classes = ageClasses(histogram, now).filter(({ bytes }) => bytes > 0);
    expect(classes).toEqual([
      { upToMinutes: 10, bytes: 3 },
      { upToMinutes: 60, bytes: 4 },
      { upToMinutes: 1_440, bytes: 8 },
      { upToMinutes: 4_320, bytes: 16 },
      { upToMinutes: null, bytes: 32 },
    ]);
  });

  it('is not anything else', () => {
    for (const value of [null, undefined, 1, [], {}]) expect(parseAccount(value)).toBeUndefined();
  });
});

describe('published usage', () => {
  it('is the one that was written', () => {
    fc.assert(
      fc.property(sizeBytes, sizeBytes, fc.nat(), (usedBytes, atMs, chunks) => {
        const usage = { originId: ORIGIN_ID, usedBytes, chunks, atMs };
        expect(decodePublishedUsage(encodePublishedUsage(usage))).toEqual(usage);
      }),
    );
  });

  it.each(['{}', '[]', '', '{"format":2,"originId":"a","usedBytes":1,"chunks":1,"atMs":1}'])(
    '%s is not read',
    (text) => {
      expect(decodePublishedUsage(Buffer.from(text))).toBeUndefined();
    },
  );
});
