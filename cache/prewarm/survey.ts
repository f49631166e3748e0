/**
 * Counts what a run has to do, ahead of its walk, so that its progress is known early: keys are counted and not kept. Each
 * thousand objects cost one more request for a list.
 */
import type { PrewarmRun } from './resource.ts';
import type { RunContext } from './run-context.ts';
import { openTarget, type TargetSources } from './targets/open.ts';
import { patientPages } from './targets/patient-pages.ts';

export interface Survey {
  objects: number;
  /** Without the objects whose size a list does not have. */
  sizeBytes: number;
  /** The figures are final. */
  isComplete: boolean;
}

export function emptySurvey(): Survey {
  return { objects: 0, sizeBytes: 0, isComplete: false };
}

/** Rejects if a target cannot be listed, or when the signal aborts. */
export async function survey(
  into: Survey,
  { targets }: PrewarmRun,
  sources: TargetSources,
  context: RunContext,
  signal: AbortSignal,
): Promise<void> {
  let hasSizes = true;
  for (const spec of targets)
    for await (const { keys } of patientPages(openTarget(spec, sources), '', context, signal)) {
      into.objects += keys.length;
      for (const { sizeBytes } of keys) {
        into.sizeBytes += sizeBytes ?? 0;
        hasSizes &&= sizeBytes !== undefined;
      }
    }
  into.isComplete = hasSizes;
}
