import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { SCHEDULE_PATTERN } from '#crds/schema/prewarm-schedule.ts';
import { parseSchedule } from '#operator/prewarm/schedule.ts';

test('what the CRD accepts as a schedule is one, unless a range ends before it begins', () => {
  const schedules = fc.stringMatching(new RegExp(SCHEDULE_PATTERN), { size: '-1' });
  fc.assert(
    fc.property(schedules, (text) => {
      let problem = '';
      try {
        parseSchedule(text, 'UTC');
      } catch (error) {
        problem = (error as Error).message;
      }
      expect(problem).toMatch(/^$|From value is larger than to value/);
    }),
    { numRuns: 300 },
  );
});
