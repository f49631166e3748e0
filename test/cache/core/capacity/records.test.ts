import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bucketOf,
  isProven,
  metaOf,
  PROVEN,
  RECORD_BYTES,
  RecordRows,
  RecordTable,
  shardOfMeta,
} from '#cache/core/capacity/records.ts';
import { minute, word } from '#test/support/capacity.ts';
import { RUNS } from '#test/support/fuzz.ts';

/** Few different keys, so that chains of records with neighboring places arise, and records are found and deleted. */
const smallWord = fc.oneof(fc.nat(7), word);
const step = fc.record({
  action: fc.constantFrom('set', 'merge', 'delete', 'mark'),
  high: smallWord,
  low: smallWord,
  minute,
  bucket: fc.nat(3),
});

function contentOf(table: RecordTable): Map<string, readonly [number, number]> {
  const content = new Map<string, readonly [number, number]>();
  table.forEach((high, low, minute, meta) => content.set(`${high}/${low}`, [minute, meta]));
  return content;
}

describe('meta', () => {
  it('keeps shard, bucket and flag', () => {
    fc.assert(
      fc.property(fc.nat(255), fc.nat(0xffff), fc.boolean(), (shard, bucket, flag) => {
        const meta = metaOf(shard, bucket, flag);
        expect([shardOfMeta(meta), bucketOf(meta), isProven(meta)]).toEqual([shard, bucket, flag]);
      }),
    );
  });
});

describe('a table of records', () => {
  it('behaves like a map, whatever is added and deleted', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const table = new RecordTable(1_000);
        const model = new Map<string, [number, number]>();
        for (const { action, high, low, minute, bucket } of steps) {
          const key = `${high}/${low}`;
          const meta = metaOf(1, bucket, false);
          const known = model.get(key);
          if (action === 'set') {
            table.set(high, low, minute, meta);
            model.set(key, [minute, meta]);
          } else if (action === 'merge') {
            table.merge(high, low, minute, meta);
            const proven = known === undefined ? 0 : (known[1] & PROVEN) | (known[0] === minute ? 0 : PROVEN);
            const base = bucket === 0 && known !== undefined ? known[1] : meta;
            model.set(key, [Math.max(minute, known?.[0] ?? 0), (base | proven) >>> 0]);
          } else if (action === 'delete') {
            expect(table.delete(high, low)).toBe(model.delete(key));
          } else {
            table.mark(high, low, PROVEN);
            if (known !== undefined) known[1] = (known[1] | PROVEN) >>> 0;
          }
        }
        expect(contentOf(table)).toEqual(model);
        expect(table.size).toBe(model.size);
        for (const [key, [last, meta]] of model) {
          const [high, low] = key.split('/').map(Number) as [number, number];
          expect(table.get(high, low)).toEqual({ minute: last, meta });
          expect(table.minuteOf(high, low)).toBe(last);
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('a record is missing after its deletion, and its neighbors are not', () => {
    // All three have the same place: 5 ^ 0, 4 ^ 1, 7 ^ 2.
    const table = new RecordTable(10);
    for (const [high, low] of [
      [5, 0],
      [4, 1],
      [7, 2],
    ] as const)
      table.set(high, low, 100 + low, 0);
    table.delete(5, 0);
    expect([table.get(5, 0), table.minuteOf(4, 1), table.minuteOf(7, 2)]).toEqual([undefined, 101, 102]);
    expect(table.delete(5, 0)).toBe(false);
  });

  it('reads in one minute prove nothing, a later one does, and an earlier one that arrives late', () => {
    const table = new RecordTable(10);
    for (const reads of [
      [5, 5],
      [5, 6],
      [6, 5],
    ])
      for (const minute of reads) table.merge(reads[0]!, reads[1]!, minute, 0);
    expect([table.get(5, 5), table.get(5, 6), table.get(6, 5)]).toEqual([
      { minute: 5, meta: 0 },
      { minute: 6, meta: PROVEN },
      { minute: 6, meta: PROVEN },
    ]);
  });

  it('drops about an eighth, the oldest, when it is full', () => {
    const table = new RecordTable(1_000);
    for (let at = 0; at < 1_001; at++) table.set(at * 7919, at, 1 + ((at * 37) % 1_001), 0);
    const minutes: number[] = [];
    table.forEach((_high, _low, minute) => minutes.push(minute));
    expect(table.size).toBeGreaterThan(800);
    expect(table.size).toBeLessThan(900);
    // Apart from the newest record, which made the table full.
    expect(minutes.filter((minute) => minute < 100)).toEqual([]);
  });

  it('drops some also if all were read in the same minute', () => {
    const table = new RecordTable(100);
    for (let at = 0; at < 1_000; at++) table.set(at, at * 3, 7, 0);
    expect(table.size).toBeLessThanOrEqual(100);
    expect(table.size).toBeGreaterThanOrEqual(80);
    expect(table.minuteOf(999, 999 * 3)).toBe(7);
  });

  it('holds its limit whatever is added', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.tuple(word, word, minute), { maxLength: 200 }),
        (max, all) => {
          const table = new RecordTable(max);
          for (const [high, low, minute] of all) {
            table.merge(high, low, minute, 0);
            expect(table.size).toBeLessThanOrEqual(max);
            expect(table.minuteOf(high, low)).toBeGreaterThan(0);
          }
          expect(contentOf(table).size).toBe(table.size);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('chunks of one version at regular distances do not become one chain', () => {
    // A reader of columns: every 4,096th chunk. Each look-up passes over few records.
    const table = new RecordTable(100_000);
    const started = performance.now();
    for (let at = 0; at < 50_000; at++) table.merge(1, Math.imul(at * 4096, 0x9e3779b1) >>> 0, 5, 0);
    expect(table.size).toBe(50_000);
    // With all in one chain this would be a billion steps.
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

describe('rows of records', () => {
  it('decode what they encode, in parts', () => {
    const row = fc.tuple(word, word, minute, word);
    fc.assert(
      fc.property(fc.array(row, { maxLength: 100 }), fc.nat(100), (all, cut) => {
        const rows = new RecordRows(1);
        for (const one of all) rows.push(...one);
        const middle = Math.min(cut, all.length);
        const decoded: (readonly number[])[] = [];
        for (const [from, to] of [
          [0, middle],
          [middle, all.length],
        ] as const) {
          const view = new DataView(new ArrayBuffer(3 + (to - from) * RECORD_BYTES));
          rows.encodeInto(view, 3, from, to);
          RecordRows.decode(view, 3, to - from).forEach((...one) => decoded.push(one));
        }
        expect(decoded).toEqual(all);
      }),
      { numRuns: RUNS },
    );
  });

  it('are little-endian', () => {
    const rows = new RecordRows();
    rows.push(0x01020304, 0x05060708, 0x090a0b0c, 0x0d0e0f10);
    const bytes = new Uint8Array(RECORD_BYTES);
    rows.encodeInto(new DataView(bytes.buffer), 0, 0, 1);
    expect(Buffer.from(bytes).toString('hex')).toBe('04030201080706050c0b0a09100f0e0d');
  });

  it('leave out a record without a minute, which is a free place of a table', () => {
    expect(RecordRows.decode(new DataView(new ArrayBuffer(3 * RECORD_BYTES)), 0, 3).size).toBe(0);
  });
});
