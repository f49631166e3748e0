import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_FAILURES, MAX_REPORTS, parsePrewarmReports, type PrewarmReport } from '#shared/prewarm-report.ts';

const REPORT: PrewarmReport = {
  uid: '6d0c8b7e-1111-2222-3333-444455556666',
  name: 'llama',
  run: 2,
  state: 'running',
  listed: true,
  objects: { total: 3, done: 1, failed: 1 },
  bytes: { total: 30, done: 20, fromOrigin: 15, alreadyStored: 5 },
  bytesPerSecond: 7,
  failures: [{ key: 'llama/a', reason: 'not_found' }],
  pin: 'pinned',
  message: '',
};

const parse = (...reports: readonly unknown[]) => parsePrewarmReports(JSON.stringify({ prewarms: reports }));

describe('reports of prewarms', () => {
  it('are read as they were written', () => {
    expect(parse(REPORT)).toEqual([REPORT]);
  });

  it('leave out what only a newer release knows', () => {
    expect(parse({ ...REPORT, state: 'paused', pin: 'shared', color: 'red' })).toEqual([{ ...REPORT, pin: 'none' }]);
  });

  it('count as nothing what an older release does not report', () => {
    expect(parse({ uid: 'u', run: 1 })).toEqual([
      {
        uid: 'u',
        name: '',
        run: 1,
        state: 'running',
        listed: false,
        objects: { total: 0, done: 0, failed: 0 },
        bytes: { total: 0, done: 0, fromOrigin: 0, alreadyStored: 0 },
        bytesPerSecond: 0,
        failures: [],
        pin: 'none',
        message: '',
      },
    ]);
  });

  it('without a uid or a run are left out', () => {
    expect(parse({ ...REPORT, uid: '' }, { ...REPORT, run: 0 }, null, 1, 'x')).toEqual([]);
  });

  it('are bounded', () => {
    const failures = Array.from({ length: 11 }, () => ({ key: 'k'.repeat(1100), reason: 'r'.repeat(1100) }));
    const reports = parse(
      ...Array.from({ length: MAX_REPORTS + 1 }, () => ({ ...REPORT, failures, message: 'm'.repeat(9999) })),
    );
    expect(reports).toHaveLength(MAX_REPORTS);
    expect(reports[0]?.failures).toHaveLength(MAX_FAILURES);
    expect(JSON.stringify(reports[0]).length).toBeLessThan(25_000);
  });

  it('have whole numbers that are not negative, whatever the input', () => {
    fc.assert(
      fc.property(fc.json(), fc.jsonValue(), (text, value) => {
        const answers = [
          ...parsePrewarmReports(text),
          ...parse({ ...REPORT, bytes: value, objects: { total: value } }),
        ];
        for (const { bytes, objects } of answers)
          for (const count of [...Object.values(bytes), ...Object.values(objects)])
            expect(Number.isSafeInteger(count) && count >= 0).toBe(true);
      }),
    );
  });
});
