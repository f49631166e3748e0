import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BucketNames } from '#cache/core/capacity/bucket-names.ts';
import { metaOf, RecordRows } from '#cache/core/capacity/records.ts';
import {
  decodeReport,
  encodeReport,
  MAX_REPORT_BYTES,
  type CommittedChunk,
  type ReadsReport,
  type SupersededVersion,
} from '#cache/core/capacity/report-codec.ts';
import { bucketNames, damagedBytes, minute, ORIGIN_ID, versionOf, word } from '#test/support/capacity.ts';
import { outcomeOf, RUNS } from '#test/support/fuzz.ts';

const EPOCH = '0123456789abcdef';
const commit: fc.Arbitrary<CommittedChunk> = fc.record({
  high: word,
  low: word,
  shard: fc.nat(255),
  sizeBytes: fc.nat(Number.MAX_SAFE_INTEGER),
});
const superseded: fc.Arbitrary<SupersededVersion> = fc.record({
  hex: fc.nat().map(versionOf),
  sinceMs: fc.nat(Number.MAX_SAFE_INTEGER),
});
const report: fc.Arbitrary<ReadsReport> = fc
  .record({
    buckets: bucketNames,
    reads: fc.array(fc.tuple(word, word, minute, word), { maxLength: 60 }),
    commits: fc.array(commit, { maxLength: 20 }),
    superseded: fc.array(superseded, { maxLength: 20 }),
  })
  .map(({ reads, ...parts }) => ({ originId: ORIGIN_ID, epoch: EPOCH, ...parts, reads: rowsOf(reads) }));

function rowsOf(all: readonly (readonly [number, number, number, number])[]): RecordRows {
  const rows = new RecordRows();
  for (const one of all) rows.push(...one);
  return rows;
}

function plain({ reads, buckets, ...parts }: ReadsReport): unknown {
  const rows: unknown[] = [];
  reads.forEach((...row) => rows.push(row));
  return { ...parts, buckets: buckets.names, reads: rows };
}

describe('a report', () => {
  it('is the one that was sent', () => {
    fc.assert(
      fc.property(report, (sent) => {
        const [message, ...more] = encodeReport(sent);
        expect(more).toEqual([]);
        if (message !== undefined) expect(plain(decodeReport(message))).toEqual(plain(sent));
        else expect(sent.reads.size + sent.commits.length + sent.superseded.length).toBe(0);
      }),
      { numRuns: RUNS },
    );
  });

  it('of many entries, becomes several messages within the limit, which together have all of them', () => {
    const reads = new RecordRows();
    for (let at = 0; at < 200_000; at++) reads.push(at, at, 7, metaOf(at % 256, 1, false));
    const commits = Array.from({ length: 50_000 }, (_, at) => ({ high: at, low: 1, shard: at % 256, sizeBytes: at }));
    const versions = Array.from({ length: 10_000 }, (_, at) => ({ hex: versionOf(at), sinceMs: at }));
    const buckets = new BucketNames(Array.from({ length: 1_000 }, (_, at) => `${at}`.padEnd(63, 'x')));
    const messages = encodeReport({ originId: ORIGIN_ID, epoch: EPOCH, buckets, reads, commits, superseded: versions });
    for (const message of messages) expect(message.length).toBeLessThanOrEqual(MAX_REPORT_BYTES);
    const decoded = messages.map(decodeReport);
    expect(messages.length).toBe(5);
    expect(decoded.reduce((sum, one) => sum + one.reads.size, 0)).toBe(200_000);
    expect(decoded.flatMap((one) => one.commits)).toEqual(commits);
    expect(decoded.flatMap((one) => one.superseded)).toEqual(versions);
    expect(decoded[4]?.buckets.nameOf(1_000)).toBe('999'.padEnd(63, 'x'));
  });

  it('damaged, is refused or another report, and nothing else', () => {
    const damagedReport = report.map((sent) => encodeReport(sent)[0] ?? new Uint8Array()).chain(damagedBytes);
    fc.assert(
      fc.property(damagedReport, (bytes) => {
        const outcome = outcomeOf(() => decodeReport(bytes), 'bad_request');
        if ('value' in outcome) expect(outcome.value.originId).toMatch(/^[A-Za-z0-9._-]{1,63}$/);
      }),
      { numRuns: RUNS },
    );
  });

  it('with bytes behind its entries, is refused', () => {
    const reads = rowsOf([[1, 2, 3, 4]]);
    const sent = { originId: ORIGIN_ID, epoch: EPOCH, buckets: new BucketNames(), reads, commits: [], superseded: [] };
    const [message] = encodeReport(sent);
    expect(() => decodeReport(Buffer.concat([message!, Buffer.alloc(16)]))).toThrow(
      expect.objectContaining({ code: 'bad_request' }),
    );
  });

  it('of random bytes, is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(outcomeOf(() => decodeReport(bytes), 'bad_request')).toHaveProperty('error');
      }),
      { numRuns: RUNS },
    );
  });

  it.each([
    ['no origin', { originId: undefined }],
    ['an origin that is a path', { originId: '../x' }],
    ['no epoch', { epoch: '' }],
    ['an epoch without end', { epoch: 'e'.repeat(65) }],
    ['counts of a body that is longer', { reads: 2 ** 40 }],
    ['counts below zero', { reads: 3, commits: -1 }],
    ['a bucket that occurs twice', { buckets: ['a', 'a'] }],
  ])('with %s, is refused', (_, fields) => {
    const header = { originId: ORIGIN_ID, epoch: EPOCH, buckets: [], reads: 2, commits: 0, superseded: 0, ...fields };
    const text = Buffer.from(JSON.stringify(header));
    const prefix = Buffer.from('OCR1\0\0\0\0', 'latin1');
    prefix.writeUInt32LE(text.length, 4);
    expect(() => decodeReport(Buffer.concat([prefix, text, Buffer.alloc(32)]))).toThrow(
      expect.objectContaining({ code: 'bad_request' }),
    );
  });

  it('that is too large, is refused before it is parsed', () => {
    expect(() => decodeReport(new Uint8Array(MAX_REPORT_BYTES + 1))).toThrow('cannot be used');
  });
});
