/** Reasons and messages that several conditions share. */
import { ANNOTATION, REASON, type Reason } from '#crds/names.ts';
import { previousRunning } from './rollout.ts';
import type { Phase, StatusInput } from './status-input.ts';

type Blocked = Extract<Phase, { kind: 'blocked' }>;
type Rejected = Extract<Phase, { kind: 'rejected' }>;
type Conflict = Extract<Phase, { kind: 'conflict' }>;

export const PAUSED_MESSAGE = `paused by the annotation ${ANNOTATION.paused}; remove it to resume`;

/** A missing object may be created soon; a malformed one needs a correction, so it is reported at once. */
export function blockedReason({ by, expired }: Blocked): Reason {
  if (by === 'malformed') return REASON.secretMalformed;
  return expired ? REASON.secretNotFound : REASON.waitingForSecret;
}

/** RBAC, quotas and admission policies may change without a change of the spec, so their rejections are retried. */
export function rejectedReason({ permanent }: Rejected): Reason {
  return permanent ? REASON.invalidSpec : REASON.progressing;
}

export function conflictMessage({ object, transient }: Conflict): string {
  return transient
    ? `waiting for the deletion of ${object}`
    : `${object} exists and does not belong to this cache; delete it, or use another metadata.name`;
}

/** A pod often reports the cause long before the progress deadline. */
export function rolloutProgress({ podMessage }: StatusInput, { message }: { readonly message: string }): string {
  return podMessage === undefined ? message : `${message}; ${podMessage}`;
}

export function rolloutFailure(
  { podMessage, deployment }: StatusInput,
  { message }: { readonly message: string },
): string {
  const { replicas = 0, updatedReplicas = 0 } = deployment?.status ?? {};
  const old = replicas - updatedReplicas;
  const suffix = old > 0 ? `; ${previousRunning(old)}` : '';
  return `${podMessage ?? message}${suffix}`;
}
