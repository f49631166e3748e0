/** The OrcaPrewarms of this cache, as the API server has them. */
import { API_VERSION, PREWARM } from '#crds/names.ts';
import type { Clock } from '#cache/engine/ports.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { listWatch } from '#shared/kube/list-watch.ts';
import type { Log } from '#shared/log.ts';
import type { PrewarmResource } from './resource.ts';

export interface PrewarmWatchOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** The cache's name. */
  readonly cache: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** All prewarms of this cache by UID, after each change. */
  readonly onChange: (resources: ReadonlyMap<string, PrewarmResource>) => void;
  /** Whether what is not in `resources` does not exist. Not where the resource is not installed, which may be a moment. */
  readonly onComplete: (isComplete: boolean) => void;
  /** One was deleted. */
  readonly onDeleted: (uid: string) => void;
}

/** Until the signal aborts. */
export function watchPrewarms(options: PrewarmWatchOptions, signal: AbortSignal): Promise<void> {
  const { client, namespace, cache, clock, log, random, onChange, onComplete, onDeleted } = options;
  let resources = new Map<string, PrewarmResource>();
  /** What a list did not have any more. If the resource is not installed, the list is no proof of that. */
  const missing = new Set<string>();
  const isOurs = ({ metadata, spec }: PrewarmResource): boolean =>
    metadata.uid !== undefined && spec?.cacheRef?.name === cache;
  return listWatch<PrewarmResource>({
    client,
    path: `/apis/${API_VERSION}/namespaces/${encodeURIComponent(namespace)}/${PREWARM.plural}`,
    signal,
    clock,
    log,
    random,
    // An older cluster has no such resource.
    mayBeAbsent: true,
    observe: {
      listed() {
        onComplete(true);
        for (const uid of missing) if (!resources.has(uid)) onDeleted(uid);
        missing.clear();
      },
    },
    onList(items) {
      onComplete(false);
      for (const uid of resources.keys()) missing.add(uid);
      resources = new Map(items.filter(isOurs).map((item) => [item.metadata.uid ?? '', item]));
      onChange(resources);
    },
    onEvent(type, item) {
      const { uid = '' } = item.metadata;
      const wasOurs = resources.has(uid);
      if (type === 'DELETED' || !isOurs(item)) resources.delete(uid);
      else resources.set(uid, item);
      if (!wasOurs && !resources.has(uid)) return;
      onChange(resources);
      if (type === 'DELETED') onDeleted(uid);
    },
  });
}
