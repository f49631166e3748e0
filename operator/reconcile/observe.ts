/** Observes the live state of a cache: its children by label, and the ReplicaSets and pods of its Deployment. */
import { LABEL, MANAGED_BY } from '#crds/names.ts';
import {
  CHILD_KINDS,
  childCollectionPath,
  collectionPath,
  controllerOf,
  LISTED_KINDS,
  type ChildKind,
  type Live,
} from '#operator/api/manifest.ts';
import type { LiveDeployment, LivePod, LiveReplicaSet } from '#operator/api/observed.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { selectorLabels, selectorText } from '#operator/resources/labels.ts';
import type { Api } from './api.ts';
import { claimOn } from './ownership.ts';

export interface Observed {
  /** All objects with the labels of a child, also those that another owner controls. */
  readonly children: readonly ObservedChild[];
  /** Owned by the cache's Deployment. */
  readonly replicaSets: readonly LiveReplicaSet[];
  /** Owned by those ReplicaSets, newest first. */
  readonly pods: readonly LivePod[];
}

export interface ObservedChild {
  readonly kind: ChildKind;
  readonly live: Live;
}

export async function observe(api: Api, cache: OrcaCache): Promise<Observed> {
  const { namespace, name } = cache.metadata;
  const childSelector = selectorText({ [LABEL.managedBy]: MANAGED_BY, [LABEL.instance]: name });
  const podSelector = selectorText(selectorLabels(cache));
  const [lists, replicaSets, pods] = await Promise.all([
    Promise.all(
      LISTED_KINDS.map(async (kind) => {
        const found = await api.list<Live>(childCollectionPath(kind, namespace), childSelector);
        // List items have no kind and apiVersion.
        return found.map((live) => ({ kind, live: { ...live, kind, apiVersion: CHILD_KINDS[kind].apiVersion } }));
      }),
    ),
    api.list<LiveReplicaSet>(collectionPath('apps/v1', 'replicasets', namespace), podSelector),
    api.list<LivePod>(collectionPath('v1', 'pods', namespace), podSelector),
  ]);
  const children = lists.flat();
  const deployment = deploymentOf(children, cache);
  const owned = replicaSets.filter((replicaSet) => ownerUid(replicaSet) === deployment?.metadata.uid);
  const ownedUids = new Set(owned.map(({ metadata }) => metadata.uid));
  return {
    children,
    replicaSets: owned,
    pods: newestFirst(pods.filter((pod) => ownedUids.has(ownerUid(pod) ?? ''))),
  };
}

export function deploymentOf(children: readonly ObservedChild[], cache: OrcaCache): LiveDeployment | undefined {
  const found = children.find(({ kind, live }) => kind === 'Deployment' && claimOn(live, cache) === 'ours');
  return found?.live as LiveDeployment | undefined;
}

/** The pods of the latest revision, newest first: the pods that a rollout waits for. */
export function newestPods({ replicaSets, pods }: Observed): readonly LivePod[] {
  const [newest] = replicaSets.toSorted((left, right) => revision(right) - revision(left));
  return pods.filter((pod) => ownerUid(pod) === newest?.metadata.uid);
}

/** Not the creation time: a rollback makes an old ReplicaSet the latest revision. */
function revision({ metadata }: LiveReplicaSet): number {
  return Number(metadata.annotations?.['deployment.kubernetes.io/revision'] ?? 0);
}

function ownerUid(object: Live): string | undefined {
  return controllerOf(object)?.uid;
}

function newestFirst<T extends Live>(objects: readonly T[]): T[] {
  const createdAt = ({ metadata }: T): string => metadata.creationTimestamp ?? '';
  return objects.toSorted((left, right) => createdAt(right).localeCompare(createdAt(left)));
}
