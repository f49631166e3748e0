/**
 * A new key for the replicas, when the cache's annotation asks for one. The old key stays beside it until every pod has
 * long had both: pods sign with all keys that they have and accept each of them, so whoever is behind is understood.
 */
import { ANNOTATION, FIELD_MANAGER } from '#crds/names.ts';
import { childPath, type Live } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { PATCH } from '#shared/kube/client.ts';
import type { Api } from './api.ts';

/** A kubelet needs two minutes for a change of a Secret when it is slow, a pod ten seconds more. */
const OVERLAP_MS = 10 * 60_000;

interface LiveSecret extends Live {
  readonly data?: Readonly<Record<string, string>>;
}

/** Null deletes, as a merge patch has it. */
export interface RotationPatch {
  readonly annotations: Readonly<Record<string, string | null>>;
  readonly data: Readonly<Record<string, string | null>>;
}

export interface Rotation {
  readonly patch?: RotationPatch;
  /** When there is more to do; undefined = it is done. */
  readonly requeueAfterMs?: number;
}

/** Pure. A change of the annotation while a rotation goes on waits for its end: three keys are one too many. */
export function plannedRotation(cache: OrcaCache, secret: LiveSecret, newKeyBase64: string, nowMs: number): Rotation {
  const wanted = cache.metadata.annotations?.[ANNOTATION.rotatePeerAuth];
  const { annotations = {} } = secret.metadata;
  const rotatedAt = annotations[ANNOTATION.peerAuthRotatedAt];
  if (rotatedAt !== undefined) {
    const sinceMs = nowMs - Date.parse(rotatedAt);
    // What somebody wrote there by hand must not keep an old key for ever.
    if (sinceMs >= 0 && sinceMs < OVERLAP_MS) return { requeueAfterMs: OVERLAP_MS - sinceMs };
    return {
      patch: { annotations: { [ANNOTATION.peerAuthRotatedAt]: null }, data: { 'previous-key': null } },
      ...(isAsked(wanted, annotations) ? { requeueAfterMs: 0 } : {}),
    };
  }
  const { key } = secret.data ?? {};
  if (!isAsked(wanted, annotations) || wanted === undefined || key === undefined) return {};
  return {
    patch: {
      annotations: {
        [ANNOTATION.rotatePeerAuth]: wanted,
        [ANNOTATION.peerAuthRotatedAt]: new Date(nowMs).toISOString(),
      },
      data: { key: newKeyBase64, 'previous-key': key },
    },
    requeueAfterMs: OVERLAP_MS,
  };
}

/** Does what is due now; when to look again, if there is more. */
export async function rotatePeerAuth(
  api: Api,
  cache: OrcaCache,
  secret: LiveSecret,
  newKeyBase64: string,
  nowMs: number,
): Promise<number | undefined> {
  const { patch, requeueAfterMs } = plannedRotation(cache, secret, newKeyBase64, nowMs);
  if (patch === undefined) return requeueAfterMs;
  const { name, resourceVersion } = secret.metadata;
  await api.write('PATCH', childPath('Secret', cache.metadata.namespace, name), {
    contentType: PATCH.merge,
    query: { fieldManager: FIELD_MANAGER },
    // Against what was read: a key that somebody else has just put there must not be lost.
    body: { metadata: { resourceVersion, annotations: patch.annotations }, data: patch.data },
  });
  api.log.info('the key of the replicas', {
    step: patch.data['previous-key'] === null ? 'the old one is gone' : 'there is a new one',
  });
  return requeueAfterMs;
}

function isAsked(wanted: string | undefined, annotations: Readonly<Record<string, string>>): boolean {
  return wanted !== undefined && wanted !== annotations[ANNOTATION.rotatePeerAuth];
}
