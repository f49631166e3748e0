/** What changed between two statuses that is worth an event: one for each new reason, none while nothing turns. */
import { CONDITION } from '#crds/names.ts';
import type { OrcaCacheStatus } from '#operator/api/orca-cache.ts';
import { DEPENDENCY_CONDITIONS } from './dependency-conditions.ts';

export interface Transition {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

const SIDE_TYPES: readonly string[] = DEPENDENCY_CONDITIONS.map(({ type }) => type);
/** In the order of importance: a reason that several conditions share is told once. */
const ORDER: readonly string[] = [CONDITION.stalled, CONDITION.ready, CONDITION.reconciling, ...SIDE_TYPES];

export function transitions(before: OrcaCacheStatus | undefined, after: OrcaCacheStatus): Transition[] {
  const found = new Map<string, Transition>();
  for (const type of ORDER) {
    const was = before?.conditions?.find((condition) => condition.type === type);
    const is = after.conditions?.find((condition) => condition.type === type);
    if (is === undefined || (was?.status === is.status && was.reason === is.reason)) continue;
    if (!isNews(type, was?.status, is.status)) continue;
    if (found.has(is.reason)) continue;
    found.set(is.reason, { type: severity(type, is.status), reason: is.reason, message: is.message });
  }
  return [...found.values()];
}

/** "Not stalled" and "not reconciling" are none; what Ready says is. */
function isNews(type: string, was: string | undefined, is: string): boolean {
  if (SIDE_TYPES.includes(type)) return is === 'False' || was === 'False';
  return type === CONDITION.ready || is === 'True';
}

function severity(type: string, status: string): Transition['type'] {
  const bad = SIDE_TYPES.includes(type) ? 'False' : 'True';
  return (SIDE_TYPES.includes(type) || type === CONDITION.stalled) && status === bad ? 'Warning' : 'Normal';
}
