/** The condition changes that deserve an event: one per new reason, none while nothing changes. */
import { CONDITION } from '#crds/names.ts';
import type { OrcaCacheStatus } from '#operator/api/orca-cache.ts';
import { DEPENDENCY_CONDITIONS } from './dependency-conditions.ts';

export interface Transition {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

const DEPENDENCY_TYPES: readonly string[] = DEPENDENCY_CONDITIONS.map(({ type }) => type);
/** In order of importance: a reason that several conditions share is reported once, by the first. */
const ORDER: readonly string[] = [CONDITION.stalled, CONDITION.ready, CONDITION.reconciling, ...DEPENDENCY_TYPES];

export function transitions(before: OrcaCacheStatus | undefined, after: OrcaCacheStatus): Transition[] {
  const found = new Map<string, Transition>();
  for (const type of ORDER) {
    const was = before?.conditions?.find((condition) => condition.type === type);
    const is = after.conditions?.find((condition) => condition.type === type);
    if (is === undefined || (was?.status === is.status && was.reason === is.reason)) continue;
    if (!isReported(type, was?.status, is.status) || found.has(is.reason)) continue;
    found.set(is.reason, { type: severity(type, is.status), reason: is.reason, message: is.message });
  }
  return [...found.values()];
}

/** Every change of Ready is reported. "Not stalled" and "not reconciling" are not. */
function isReported(type: string, was: string | undefined, is: string): boolean {
  if (DEPENDENCY_TYPES.includes(type)) return is === 'False' || was === 'False';
  return type === CONDITION.ready || is === 'True';
}

function severity(type: string, status: string): Transition['type'] {
  const isDependency = DEPENDENCY_TYPES.includes(type);
  const isProblem = isDependency ? status === 'False' : type === CONDITION.stalled && status === 'True';
  return isProblem ? 'Warning' : 'Normal';
}
