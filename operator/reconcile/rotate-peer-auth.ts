/**
 * Rotates the shared key of the replicas when the cache's annotation requests it. The old key is kept until every pod
 * has both: pods sign with all their keys and accept each of them, so pods with different keys authenticate each other.
 */
import { ANNOTATION, FIELD_MANAGER } from '#crds/names.ts';
import { childPath, type Live } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { PATCH } from '#shared/kube/client.ts';
import type { Api } from './api.ts';

/**
 * A slow kubelet delivers a changed Secret after two minutes; a pod reads it within ten seconds. The margin is
 * generous.
 */
const OVERLAP_MS = 10 * 60_000;

interface LiveSecret extends Live {
  readonly data?: Readonly<Record<string, string>>;
}

/** Null deletes, as in a JSON merge patch. */
export interface RotationPatch {
  readonly annotations: Readonly<Record<string, string | null>>;
  readonly data: Readonly<Record<string, string | null>>;
}

export interface Rotation {
  readonly patch?: RotationPatch;
  /** When the rotation continues; undefined = complete. */
  readonly requeueAfterMs?: number;
}

/** A request during a rotation waits for its end, since pods hold at most two keys. Pure. */
export function plannedRotation(cache: OrcaCache, secret: LiveSecret, newKeyBase64: string, nowMs: number): Rotation {
  const requested = cache.metadata.annotations?.[ANNOTATION.rotatePeerAuth];
  const { annotations = {} } = secret.metadata;
  const rotatedAt = annotations[ANNOTATION.peerAuthRotatedAt];
  if (rotatedAt !== undefined) {
    const sinceMs = nowMs - Date.parse(rotatedAt);
    // An invalid or future time, as after a manual edit, ends the rotation: it must not keep the old key forever.
    if (sinceMs >= 0 && sinceMs < OVERLAP_MS) return { requeueAfterMs: OVERLAP_MS - sinceMs };
    return {
      patch: { annotations: { [ANNOTATION.peerAuthRotatedAt]: null }, data: { 'previous-key': null } },
      ...(isRequested(requested, annotations) ? { requeueAfterMs: 0 } : {}),
    };
  }
  const { key } = secret.data ?? {};
  if (!isRequested(requested, annotations) || requested === undefined || key === undefined) return {};
  return {
    patch: {
      annotations: {
        [ANNOTATION.rotatePeerAuth]: requested,
        [ANNOTATION.peerAuthRotatedAt]: new Date(nowMs).toISOString(),
      },
      data: { key: newKeyBase64, 'previous-key': key },
    },
    requeueAfterMs: OVERLAP_MS,
  };
}

/** Runs the due step, if any. Resolves with the time until the next one. */
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
    // Optimistic lock: a key that was written meanwhile must not be lost.
    body: { metadata: { resourceVersion, annotations: patch.annotations }, data: patch.data },
  });
  api.log.info(patch.data['previous-key'] === null ? 'removed the previous peer key' : 'rotated the peer key');
  return requeueAfterMs;
}

function isRequested(requested: string | undefined, annotations: Readonly<Record<string, string>>): boolean {
  return requested !== undefined && requested !== annotations[ANNOTATION.rotatePeerAuth];
}
