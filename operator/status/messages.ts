/** What several conditions say in the same words. */
import { REASON, type Reason } from '#crds/names.ts';
import { previous } from './rollout.ts';
import type { Phase, StatusInput } from './status-input.ts';

type Blocked = Extract<Phase, { kind: 'blocked' }>;
type Refused = Extract<Phase, { kind: 'refused' }>;
type Conflict = Extract<Phase, { kind: 'conflict' }>;

/** A missing object may just be late; a malformed one has been written by somebody who thinks it is right. */
export function blockedReason({ by, expired }: Blocked): Reason {
  if (by === 'malformed') return REASON.secretMalformed;
  return expired ? REASON.secretNotFound : REASON.waitingForSecret;
}

/** Missing rights, a quota, an admission policy: they may change without the spec. */
export function refusedReason({ final }: Refused): Reason {
  return final ? REASON.invalidSpec : REASON.progressing;
}

export function conflictMessage({ object, passing }: Conflict): string {
  return passing
    ? `waiting for the deletion of ${object}`
    : `${object} exists and does not belong to this cache: delete or rename one of them`;
}

/** Long before the deadline the pod may know what is wrong. */
export function rolloutProgress({ podMessage }: StatusInput, { message }: { readonly message: string }): string {
  return podMessage === undefined ? message : `${message}; ${podMessage}`;
}

export function rolloutFailure(
  { podMessage, deployment }: StatusInput,
  { message }: { readonly message: string },
): string {
  const { replicas = 0, updatedReplicas = 0 } = deployment?.status ?? {};
  const old = replicas - updatedReplicas;
  const still = old > 0 ? `; ${previous(old)} kept` : '';
  return `${podMessage ?? message}${still}`;
}
