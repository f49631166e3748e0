/** Builds the report of a run from its figures. */
import type { PrewarmReport } from '#shared/prewarm-report.ts';
import type { PrewarmRun } from './resource.ts';
import type { Tally } from './tally.ts';

type Facts = Pick<PrewarmReport, 'state' | 'listed' | 'bytesPerSecond' | 'failures' | 'pin' | 'message'>;

export function reportOf(
  { uid, name, run }: Pick<PrewarmRun, 'uid' | 'name' | 'run'>,
  tally: Readonly<Tally>,
  facts: Facts,
): PrewarmReport {
  return {
    uid,
    name,
    run,
    ...facts,
    objects: { total: tally.objects, done: tally.done, failed: tally.failed },
    bytes: {
      total: tally.totalBytes,
      done: tally.doneBytes,
      fromOrigin: tally.originBytes,
      alreadyStored: tally.storedBytes,
    },
  };
}
