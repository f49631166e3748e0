/** `GET /prewarms`: what the runs of prewarms have done that this replica walks. Read by the operator and `kubectl orca`. */
import type { Context } from 'hono';
import { MAX_REPORTS, type PrewarmReport } from '#shared/prewarm-report.ts';

export interface PrewarmsHandlerOptions {
  readonly prewarms: () => readonly PrewarmReport[];
}

export function prewarmsHandler({ prewarms }: PrewarmsHandlerOptions): (c: Context) => Response {
  return (c) => c.json({ prewarms: prewarms().slice(0, MAX_REPORTS) });
}
