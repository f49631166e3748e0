import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRecord, encodeRecord, MAX_RETRIES, NO_PIN, type RunRecord } from '#cache/prewarm/record.ts';
import { damaged, RUNS } from '#test/support/fuzz.ts';

const RECORD: RunRecord = {
  cache: 'ml/models',
  uid: '6d0c8b7e-0000-4000-8000-000000000001',
  name: 'llama',
  run: 3,
  state: 'running',
  writer: '10.0.0.1:8444',
  target: 1,
  after: 'llama/ü\u{1f433}/b',
  tally: { objects: 9, done: 5, failed: 1, totalBytes: 900, doneBytes: 500, originBytes: 400, storedBytes: 100 },
  carriedBytes: 12,
  listed: true,
  retries: [{ target: 0, key: 'llama/x', attempts: 1, reason: 'not_found', sizeBytes: 7 }],
  failures: [{ key: 'llama/y', reason: 'access_denied' }],
  pin: { state: 'pinned', name: 'llama-6d0c8b7e-3', sizeBytes: 77, previous: 'llama-6d0c8b7e-2', message: '' },
};

const text = (record: unknown): Uint8Array => Buffer.from(JSON.stringify(record), 'utf8');

describe('the record of a run', () => {
  it('is read as it was written', () => {
    expect(decodeRecord(encodeRecord(RECORD))).toEqual(RECORD);
    expect(decodeRecord(encodeRecord({ ...RECORD, retries: [], failures: [], pin: NO_PIN }))).toMatchObject({
      pin: NO_PIN,
    });
  });

  it('is not read if a field is missing, of another type or out of its limits', () => {
    const written = JSON.parse(Buffer.from(encodeRecord(RECORD)).toString('utf8')) as Record<string, unknown>;
    for (const field of Object.keys(written).filter((name) => name !== 'listed')) {
      expect([field, decodeRecord(text({ ...written, [field]: undefined }))]).toEqual([field, undefined]);
      expect([field, decodeRecord(text({ ...written, [field]: { a: 1 } }))]).toEqual([field, undefined]);
    }
    const { retries, tally } = RECORD;
    const many = Array.from({ length: MAX_RETRIES + 1 }, () => retries[0]);
    for (const change of [
      { version: 2 },
      { run: -1 },
      { target: 0.5 },
      { state: 'paused' },
      { retries: many },
      { tally: { ...tally, done: -1 } },
      { carriedBytes: 1e300 },
    ])
      expect({ ...change, record: decodeRecord(text({ ...written, ...change })) }).toEqual({
        ...change,
        record: undefined,
      });
  });

  it('is valid or not read, whatever the bytes are', () => {
    const bytes = fc.oneof(
      damaged(Buffer.from(encodeRecord(RECORD)).toString('utf8')).map((json) => Buffer.from(json, 'utf8')),
      fc.json().map((json) => Buffer.from(json, 'utf8')),
      fc.uint8Array({ maxLength: 64 }),
    );
    fc.assert(
      fc.property(bytes, (input) => {
        const record = decodeRecord(input);
        if (record === undefined) return;
        expect(decodeRecord(encodeRecord(record))).toEqual(record);
        expect(Object.values(record.tally).every((count) => Number.isSafeInteger(count) && count >= 0)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });
});
