/** Follows the pods that wait for prewarms, and reports which prewarms must be checked. */
import { collectionPath, type Live } from '#operator/api/manifest.ts';
import type { Clock } from '#shared/clock.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { listWatch } from '#shared/kube/list-watch.ts';
import type { Log } from '#shared/log.ts';
import { parseGatedPod, type GatedPod } from './gated-pod.ts';

export interface GatedPods {
  /** The pods that wait for this prewarm, perhaps among others. */
  waitingFor(namespace: string, prewarm: string): readonly GatedPod[];
  /** Follows the pods until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export interface GatedPodsOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  /** Empty = all. */
  readonly namespaces: readonly string[];
  /** Called with `<namespace>/<prewarm>` for each prewarm that a new or changed pod waits for. */
  readonly onChange: (key: string) => void;
  /** Called when a pod no longer waits. */
  readonly onReleased: (uid: string) => void;
}

/** Pods without a node that are not being started: few, unlike all pods of a cluster. */
const FIELD_SELECTOR = 'spec.nodeName=,status.phase=Pending';

export function openGatedPods(options: GatedPodsOptions): GatedPods {
  const { client, clock, log, onChange, onReleased } = options;
  /** By uid. */
  const pods = new Map<string, GatedPod>();
  /** The uids of the waiting pods, by `<namespace>/<prewarm>`. */
  const waiting = new Map<string, Set<string>>();

  function set(pod: GatedPod): void {
    remove(pod.uid);
    pods.set(pod.uid, pod);
    for (const key of keysOf(pod)) {
      const uids = waiting.get(key) ?? new Set();
      waiting.set(key, uids.add(pod.uid));
      onChange(key);
    }
  }

  function remove(uid: string): void {
    const pod = pods.get(uid);
    if (pod === undefined) return;
    pods.delete(uid);
    for (const key of keysOf(pod)) {
      const uids = waiting.get(key);
      uids?.delete(uid);
      if (uids?.size === 0) waiting.delete(key);
    }
  }

  function update(object: Live): void {
    const pod = parseGatedPod(object);
    if (pod !== undefined) return set(pod);
    remove(object.metadata.uid);
    onReleased(object.metadata.uid);
  }

  function follow(namespace: string | undefined, signal: AbortSignal): Promise<void> {
    return listWatch<Live>({
      client,
      path: collectionPath('v1', 'pods', namespace),
      query: { fieldSelector: FIELD_SELECTOR },
      signal,
      clock,
      log,
      onList(items) {
        const listed = new Set(items.map(({ metadata }) => metadata.uid));
        for (const pod of pods.values())
          if ((namespace === undefined || pod.namespace === namespace) && !listed.has(pod.uid)) {
            remove(pod.uid);
            onReleased(pod.uid);
          }
        for (const item of items) update(item);
      },
      onEvent(type, object) {
        if (type !== 'DELETED') return update(object);
        remove(object.metadata.uid);
        onReleased(object.metadata.uid);
      },
    });
  }

  return {
    waitingFor: (namespace, prewarm) =>
      [...(waiting.get(`${namespace}/${prewarm}`) ?? [])].flatMap((uid) => pods.get(uid) ?? []),
    async run(signal) {
      const namespaces = options.namespaces.length === 0 ? [undefined] : options.namespaces;
      await Promise.all(namespaces.map((namespace) => follow(namespace, signal)));
    },
  };
}

function keysOf({ namespace, prewarms }: GatedPod): string[] {
  return prewarms.map((prewarm) => `${namespace}/${prewarm}`);
}
