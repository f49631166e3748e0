/** Makes the children be as desired, in their order, and tells how far that went. */
import type { Manifest } from '#operator/api/manifest.ts';
import type { LiveDeployment } from '#operator/api/observed.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { Child } from '#operator/resources/list.ts';
import type { peerAuthSecret } from '#operator/resources/peer-auth-secret.ts';
import type { Phase } from '#operator/status/status-input.ts';
import { hasStatus } from '#shared/kube/error.ts';
import { apply, type Applied } from './apply.ts';
import type { Api } from './api.ts';
import { deploymentOf, type Observed } from './observe.ts';
import { plannedDeletions, prune } from './prune.ts';
import { rotatePeerAuth } from './rotate-peer-auth.ts';

export interface ApplyResult {
  readonly phase: Phase;
  readonly deployment: LiveDeployment | undefined;
  /** When something that has begun is to go on, though nothing else may happen. */
  readonly requeueAfterMs?: number | undefined;
}

export async function applyChildren(
  api: Api,
  cache: OrcaCache,
  desired: readonly Child[],
  observed: Observed,
  nowMs: number,
): Promise<ApplyResult> {
  let requeueAfterMs: number | undefined;
  let deployment = deploymentOf(observed.children, cache);
  for (const child of desired) {
    const { kind, metadata } = child.manifest;
    const live = observed.children.find((seen) => seen.kind === kind && seen.live.metadata.name === metadata.name);
    const applied = await applyOrRefusal(api, cache, child, live?.live);
    if (applied.kind === 'refused') return { phase: applied, deployment };
    // What comes after may rely on it, so a child that is not ours ends this round.
    if (applied.kind === 'conflict') {
      const phase = { kind: 'conflict', object: `${kind} ${metadata.name}`, passing: applied.passing } as const;
      return { phase, deployment };
    }
    if (kind === 'Secret')
      requeueAfterMs = await rotatePeerAuth(api, cache, applied.live, newKeyOf(child.manifest), nowMs);
    if (kind === 'Deployment') deployment = applied.live as LiveDeployment;
  }
  const manifests = desired.map(({ manifest }) => manifest);
  await prune(api, cache, plannedDeletions(cache, manifests, observed, deployment));
  return { phase: { kind: 'applied' }, deployment, requeueAfterMs };
}

/** The builder draws a fresh one each time; one that is not needed is thrown away. */
function newKeyOf(manifest: Manifest): string {
  return (manifest as unknown as ReturnType<typeof peerAuthSecret>).data.key;
}

type Refused = Extract<Phase, { kind: 'refused' }>;

/** The API server's no to a child is for the user to know; any other failure is for the next try. */
async function applyOrRefusal(
  api: Api,
  cache: OrcaCache,
  child: Child,
  live: Parameters<typeof apply>[3],
): Promise<Applied | Refused> {
  try {
    return await apply(api, cache, child, live);
  } catch (error) {
    if (!hasStatus(error, 400, 403, 422)) throw error;
    const { kind, metadata } = child.manifest;
    api.log.warn('the API server refuses a child', { kind, child: metadata.name, error });
    // Of a Secret only that it was refused: the API server may quote what it was sent.
    const why = kind === 'Secret' ? error.reason : error.message;
    return { kind: 'refused', message: `${kind} ${metadata.name}: ${why}`, final: error.status !== 403 };
  }
}
