/** What changed between two statuses that is worth an event: one for each new reason, none while nothing turns. */
import { CONDITION } from '#crds/names.ts';
import type { OrcaCacheStatus } from '#operator/api/orca-cache.ts';

export interface Transition {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** In the order of importance: a reason that several conditions share is told once. */
const ORDER = [CONDITION.stalled, CONDITION.ready, CONDITION.reconciling];

export function transitions(before: OrcaCacheStatus | undefined, after: OrcaCacheStatus): Transition[] {
  const found = new Map<string, Transition>();
  for (const type of ORDER) {
    const was = before?.conditions?.find((condition) => condition.type === type);
    const is = after.conditions?.find((condition) => condition.type === type);
    if (is === undefined || (was?.status === is.status && was.reason === is.reason)) continue;
    // "Not stalled" and "not reconciling" are no news; what Ready says is.
    if (type !== CONDITION.ready && is.status !== 'True') continue;
    if (found.has(is.reason)) continue;
    found.set(is.reason, { type: severity(type, is.status), reason: is.reason, message: is.message });
  }
  return [...found.values()];
}

function severity(type: string, status: string): Transition['type'] {
  return type === CONDITION.stalled && status === 'True' ? 'Warning' : 'Normal';
}
