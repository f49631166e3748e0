/** Applies the children in order, stops at the first that fails, and deletes the obsolete ones at the end. */
import type { Manifest } from '#operator/api/manifest.ts';
import type { LiveDeployment } from '#operator/api/observed.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { Child } from '#operator/resources/list.ts';
import type { peerAuthSecret } from '#operator/resources/peer-auth-secret.ts';
import type { Phase } from '#operator/status/status-input.ts';
import { hasStatus } from '#shared/kube/error.ts';
import type { Api } from './api.ts';
import { apply, type Applied } from './apply.ts';
import { deploymentOf, type Observed } from './observe.ts';
import { plannedDeletions, prune } from './prune.ts';
import { rotatePeerAuth } from './rotate-peer-auth.ts';
import type { UnacceptedFields } from './unaccepted-fields.ts';

export interface ApplyResult {
  readonly phase: Phase;
  readonly deployment: LiveDeployment | undefined;
  /** When a rotation of the peer key continues; undefined without a rotation in progress. */
  readonly requeueAfterMs?: number | undefined;
}

export async function applyChildren(
  api: Api,
  cache: OrcaCache,
  desired: readonly Child[],
  observed: Observed,
  nowMs: number,
  unaccepted: UnacceptedFields,
): Promise<ApplyResult> {
  let requeueAfterMs: number | undefined;
  let deployment = deploymentOf(observed.children, cache);
  for (const child of desired) {
    const { kind, metadata } = child.manifest;
    const live = observed.children.find((seen) => seen.kind === kind && seen.live.metadata.name === metadata.name);
    const applied = await applyOrRejection(api, cache, child, live?.live, unaccepted);
    if (applied.kind === 'rejected') return { phase: applied, deployment };
    // Later children may depend on this one, so a conflict ends the pass.
    if (applied.kind === 'conflict') {
      const object = `${kind} ${metadata.name}`;
      return { phase: { kind: 'conflict', object, transient: applied.transient }, deployment };
    }
    if (kind === 'Secret')
      requeueAfterMs = await rotatePeerAuth(api, cache, applied.live, newKeyOf(child.manifest), nowMs);
    if (kind === 'Deployment') deployment = applied.live as LiveDeployment;
  }
  const manifests = desired.map(({ manifest }) => manifest);
  await prune(api, cache, plannedDeletions(cache, manifests, observed, deployment));
  return { phase: { kind: 'applied' }, deployment, requeueAfterMs };
}

/** The builder generates a new key in every pass; an unused one is discarded. */
function newKeyOf(manifest: Manifest): string {
  return (manifest as unknown as ReturnType<typeof peerAuthSecret>).data.key;
}

type Rejected = Extract<Phase, { kind: 'rejected' }>;

/** A rejection of the child by the API server is reported to the user. Any other failure is thrown, and so retried. */
async function applyOrRejection(
  api: Api,
  cache: OrcaCache,
  child: Child,
  live: Parameters<typeof apply>[3],
  unaccepted: UnacceptedFields,
): Promise<Applied | Rejected> {
  try {
    return await apply(api, cache, child, live, unaccepted);
  } catch (error) {
    if (!hasStatus(error, 400, 403, 422)) throw error;
    const { kind, metadata } = child.manifest;
    api.log.warn('the API server rejected a child', { kind, child: metadata.name, error });
    // The message for a Secret may quote its content, so only the reason is reported.
    const cause = kind === 'Secret' ? error.reason : error.message;
    const message = `${kind} ${metadata.name} rejected by the API server: ${cause}`;
    return { kind: 'rejected', message, permanent: error.status !== 403 };
  }
}
