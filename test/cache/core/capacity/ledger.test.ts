import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OTHER_BUCKET } from '#cache/core/capacity/bucket-names.ts';
import { Ledger, MAX_LEDGER_RECORDS } from '#cache/core/capacity/ledger.ts';
import { decodeLedger, encodeLedger } from '#cache/core/capacity/ledger-codec.ts';
import { formatSummary, parseSummary, type ShardSummary } from '#cache/core/capacity/shard-summary.ts';
import {
  bucketName,
  damagedBytes,
  histogramOf,
  minute,
  ORIGIN_ID,
  shardSummary,
  word,
} from '#test/support/capacity.ts';
import { RUNS } from '#test/support/fuzz.ts';

const SHARD = 0xa7;
const NOW = 2 ** 32 - 1;
const read = fc.record({ high: word, low: word, minute, bucket: bucketName, isProven: fc.boolean() });
const ledger = fc
  .record({ reads: fc.array(read, { maxLength: 60 }), summary: fc.option(shardSummary, { nil: undefined }) })
  .map(({ reads, summary }) => {
    const filled = new Ledger(ORIGIN_ID, SHARD);
    for (const { high, low, ...one } of reads) filled.read(high, low, one, NOW);
    filled.summary = summary;
    return filled;
  });

function contentOf(of: Ledger): unknown {
  const content: unknown[] = [];
  of.records.forEach((high, low) => content.push([high, low, of.get(high, low)]));
  return { content: new Set(content.map((one) => JSON.stringify(one))), summary: of.summary && plain(of.summary) };
}

function plain(summary: ShardSummary): unknown {
  return { ...summary, evictable: summary.evictable.entries() };
}

describe('a ledger', () => {
  it('keeps the last read, its bucket, and whether there were several', () => {
    const of = new Ledger(ORIGIN_ID, SHARD);
    of.read(1, 2, { minute: 10, bucket: 'b', isProven: false }, NOW);
    of.read(1, 3, { minute: 10, bucket: 'c', isProven: true }, NOW);
    of.read(1, 2, { minute: 12, bucket: 'b', isProven: false }, NOW);
    expect(of.get(1, 2)).toEqual({ minute: 12, bucket: 'b', isProven: true });
    expect(of.get(1, 3)).toEqual({ minute: 10, bucket: 'c', isProven: true });
    expect(of.get(1, 4)).toBeUndefined();
    of.delete(1, 2);
    expect(of.get(1, 2)).toBeUndefined();
  });

  it('a replica whose clock is ahead does not protect a chunk for years', () => {
    const of = new Ledger(ORIGIN_ID, SHARD);
    of.read(1, 2, { minute: 9_000, bucket: 'b', isProven: false }, 500);
    expect(of.get(1, 2)?.minute).toBe(500);
  });

  it('a chunk of a bucket that was not known is of that bucket once it is', () => {
    const of = new Ledger(ORIGIN_ID, SHARD);
    of.read(1, 2, { minute: 10, bucket: OTHER_BUCKET, isProven: false }, NOW);
    expect(of.get(1, 2)?.bucket).toBe(OTHER_BUCKET);
    of.read(1, 2, { minute: 10, bucket: 'b', isProven: false }, NOW);
    of.read(1, 2, { minute: 11, bucket: OTHER_BUCKET, isProven: false }, NOW);
    expect(of.get(1, 2)).toEqual({ minute: 11, bucket: 'b', isProven: true });
  });

  it('a sweep drops the records of chunks that are not in the store any more', () => {
    const of = new Ledger(ORIGIN_ID, SHARD);
    for (const low of [1, 2, 3]) of.read(0, low, { minute: 100, bucket: 'b', isProven: low === 2 }, NOW);
    // Read, and so committed, while the sweep was under way.
    of.read(0, 4, { minute: 200, bucket: 'b', isProven: false }, NOW);
    of.seen(0, 1);
    of.seen(0, 2);
    of.seen(0, 77);
    of.dropUnseen(150);
    expect([1, 2, 3, 4, 77].map((low) => of.get(0, low)?.minute)).toEqual([100, 100, undefined, 200, undefined]);
    expect(of.get(0, 2)?.isProven).toBe(true);
    // What one sweep has seen, the next one need not see.
    of.dropUnseen(250);
    expect(of.records.size).toBe(0);
  });
});

describe('names of buckets in a ledger', () => {
  it('are removed with their last chunk, and leave their numbers to others', () => {
    const of = new Ledger(ORIGIN_ID, SHARD);
    for (let at = 0; at < 1_000; at++) of.read(0, at, { minute: 100, bucket: `old-${at}`, isProven: at === 7 }, NOW);
    of.read(1, 1, { minute: 100, bucket: 'new', isProven: false }, NOW);
    expect(of.get(1, 1)?.bucket).toBe(OTHER_BUCKET);
    of.seen(0, 7);
    of.dropUnseen(150);
    of.read(1, 1, { minute: 100, bucket: 'new', isProven: false }, NOW);
    expect(of.buckets.names).toEqual(['old-7', 'new']);
    expect(of.get(0, 7)).toEqual({ minute: 100, bucket: 'old-7', isProven: true });
    expect(of.get(1, 1)?.bucket).toBe('new');
  });
});

describe('a stored ledger', () => {
  it('is the one that was written', () => {
    fc.assert(
      fc.property(ledger, (of) => {
        const decoded = decodeLedger(encodeLedger(of), ORIGIN_ID, SHARD);
        expect(decoded && contentOf(decoded)).toEqual(contentOf(of));
      }),
      { numRuns: RUNS },
    );
  });

  it('damaged in any way, cannot be read', () => {
    const damagedLedger = ledger.chain((of) => damagedBytes(encodeLedger(of)));
    fc.assert(
      fc.property(damagedLedger, (bytes) => {
        expect(decodeLedger(bytes, ORIGIN_ID, SHARD)).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
  });

  it('of another cache or shard, is not read', () => {
    const bytes = encodeLedger(new Ledger(ORIGIN_ID, SHARD));
    expect(decodeLedger(bytes, ORIGIN_ID, SHARD)).toBeDefined();
    expect(decodeLedger(bytes, 'other', SHARD)).toBeUndefined();
    expect(decodeLedger(bytes, ORIGIN_ID, SHARD + 1)).toBeUndefined();
    expect(decodeLedger(new Uint8Array(), ORIGIN_ID, SHARD)).toBeUndefined();
  });

  it('at its limits, fits into a small object of the store, and is decoded with all records', () => {
    const of = new Ledger(ORIGIN_ID, SHARD);
    for (let at = 0; at < MAX_LEDGER_RECORDS; at++) of.records.set(at * 17, at, 1 + at, 0xffff_ffff);
    const names = Array.from({ length: 1_000 }, (_, at) => `${at}`.padEnd(65, '"'));
    for (const name of names) of.buckets.numberOf(name);
    of.summary = {
      startedMs: Number.MAX_SAFE_INTEGER,
      sweptAtMs: Number.MAX_SAFE_INTEGER,
      bytes: Number.MAX_SAFE_INTEGER,
      chunks: Number.MAX_SAFE_INTEGER,
      pinnedBytes: Number.MAX_SAFE_INTEGER,
      evictable: histogramOf(
        Array.from({ length: 256 }, (_, at) => ({ minute: NOW - at, bytes: 2 ** 44, isProven: at % 2 === 0 })),
      ),
      byBucket: new Map(of.buckets.names.map((name) => [name, 2 ** 43])),
      foreignNames: Number.MAX_SAFE_INTEGER,
    };
    const bytes = encodeLedger(of);
    expect(bytes.length).toBeLessThan(4 * 1024 * 1024);
    expect(decodeLedger(bytes, ORIGIN_ID, SHARD)?.records.size).toBe(MAX_LEDGER_RECORDS);
  });

  it('with a summary of another release, counts as not swept', () => {
    const of = new Ledger(ORIGIN_ID, SHARD);
    of.read(1, 2, { minute: 10, bucket: 'b', isProven: false }, NOW);
    of.summary = { sweptAtMs: 1 } as ShardSummary;
    Object.assign(of.summary, { evictable: histogramOf([]), byBucket: new Map() });
    const decoded = decodeLedger(encodeLedger(of), ORIGIN_ID, SHARD);
    expect(decoded?.summary).toBeUndefined();
    expect(decoded?.records.size).toBe(1);
  });
});

describe('a summary in JSON', () => {
  it('is the one that was written', () => {
    fc.assert(
      fc.property(shardSummary, (summary) => {
        const parsed = parseSummary(JSON.parse(JSON.stringify(formatSummary(summary))));
        expect(parsed && plain(parsed)).toEqual(plain({ ...summary, evictable: summary.evictable.compact() }));
      }),
      { numRuns: RUNS },
    );
  });

  it('of anything else, is refused', () => {
    fc.assert(
      fc.property(shardSummary, fc.jsonValue(), fc.nat(7), (summary, other, at) => {
        const fields = { ...formatSummary(summary) };
        const name = Object.keys(fields)[at]!;
        const isNumber = typeof fields[name] === 'number';
        // A whole number instead of another one, or an empty list, is as good.
        if (isNumber ? Number.isSafeInteger(other) && (other as number) >= 0 : Array.isArray(other)) return;
        expect(parseSummary({ ...fields, [name]: other })).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
    for (const value of [null, undefined, [], 'x', 1]) expect(parseSummary(value)).toBeUndefined();
  });
});
