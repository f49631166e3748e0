/** Creates and repairs the Role and RoleBinding with which the cache's pods read the prewarm's ConfigMaps. */
import { PREWARM, REASON } from '#crds/names.ts';
import { childPath, type Live } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { OrcaPrewarm } from '#operator/api/orca-prewarm.ts';
import type { Api } from '#operator/reconcile/api.ts';
import { apply } from '#operator/reconcile/apply.ts';
import { allAccepted } from '#operator/reconcile/unaccepted-fields.ts';
import { prewarmKeys } from '#operator/resources/prewarm-keys.ts';
import type { Problem } from './problem.ts';

/** Resolves with the problem if another owner has an object of that name. */
export async function grantKeys(api: Api, prewarm: OrcaPrewarm, cache: OrcaCache): Promise<Problem | undefined> {
  const owner = { kind: PREWARM.kind, metadata: prewarm.metadata };
  for (const manifest of prewarmKeys(prewarm, cache)) {
    const { kind, metadata } = manifest;
    const live = await api.find<Live>(childPath(kind, metadata.namespace, metadata.name));
    const applied = await apply(api, owner, { manifest, write: 'apply' }, live, allAccepted);
    if (applied.kind === 'conflict')
      return {
        reason: REASON.nameConflict,
        message: `${kind} ${metadata.name} exists and does not belong to this prewarm; delete it, or use another metadata.name`,
        mayAppear: applied.transient,
      };
  }
  return undefined;
}
