/**
 * Event sources of the work queue: watches of the caches, and of their children by label. A change adds the cache's
 * key.
 */
import { API_VERSION, KIND, LABEL, MANAGED_BY, PLURAL } from '#crds/names.ts';
import { childCollectionPath, collectionPath, controllerOf, LISTED_KINDS, type Live } from '#operator/api/manifest.ts';
import type { Clock } from '#shared/clock.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { listWatch } from '#shared/kube/list-watch.ts';
import type { Log } from '#shared/log.ts';
import type { Urgency, WorkQueue } from './work-queue.ts';

export interface SourcesOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly queue: WorkQueue;
  /** Empty = all. */
  readonly namespaces: readonly string[];
  readonly signal: AbortSignal;
  readonly random?: () => number;
}

export interface Sources {
  /** Every collection has been listed once. */
  synced(): boolean;
  /** Resolves when all watches have ended, after the signal. */
  readonly ended: Promise<void>;
}

/**
 * Each relist reconciles all caches, which repairs unnoticed drift. Unchanged caches are spread over this time to avoid
 * a thundering herd.
 */
const RESYNC_SPREAD_MS = 60_000;

export function openSources(options: SourcesOptions): Sources {
  const { client, clock, log, queue, signal } = options;
  const random = options.random ?? Math.random;
  const unsynced = new Set<string>();

  function watchCollection(path: string, query: Record<string, string>, isCache: boolean): Promise<void> {
    /** The last seen version and cache of each object, by uid: to detect changes, and deletions between two lists. */
    let seen = new Map<string, Seen>();
    let isFirst = true;
    unsynced.add(path);
    return listWatch<Live>({
      client,
      path,
      query,
      signal,
      clock,
      log,
      random,
      onList(items) {
        const before = seen;
        seen = new Map(items.map((item) => [item.metadata.uid, seenOf(item, isCache)]));
        // After a start every object is new to this process, but none has changed.
        const urgency = isFirst ? 'due' : 'changed';
        isFirst = false;
        for (const [uid, { key }] of before) if (!seen.has(uid)) add(key);
        for (const [uid, { key, version }] of seen) {
          if (before.get(uid)?.version !== version) add(key, urgency);
          else if (isCache && key !== undefined) queue.addAfter(key, random() * RESYNC_SPREAD_MS);
        }
        unsynced.delete(path);
      },
      onEvent(type, object) {
        const now = seenOf(object, isCache);
        const before = seen.get(object.metadata.uid);
        // The operator's own status update.
        if (type === 'MODIFIED' && before?.version === now.version) return;
        // A change of owner affects both caches.
        add(before?.key);
        add(now.key);
        if (type === 'DELETED') seen.delete(object.metadata.uid);
        else seen.set(object.metadata.uid, now);
      },
    });
  }

  function add(key: string | undefined, urgency: Urgency = 'changed'): void {
    if (key !== undefined) queue.add(key, urgency);
  }

  const loops: Promise<void>[] = [];
  for (const namespace of options.namespaces.length === 0 ? [undefined] : options.namespaces) {
    loops.push(watchCollection(collectionPath(API_VERSION, PLURAL, namespace), {}, true));
    for (const kind of LISTED_KINDS)
      loops.push(
        watchCollection(
          childCollectionPath(kind, namespace),
          { labelSelector: `${LABEL.managedBy}=${MANAGED_BY}` },
          false,
        ),
      );
  }
  return { synced: () => unsynced.size === 0, ended: Promise.all(loops).then(() => {}) };
}

interface Seen {
  readonly key: string | undefined;
  readonly version: string;
}

function seenOf(object: Live, isCache: boolean): Seen {
  const { namespace = '', name, resourceVersion } = object.metadata;
  if (!isCache) return { key: ownerKey(object), version: resourceVersion };
  return { key: `${namespace}/${name}`, version: requestedState(object) };
}

/** The user's input. The generation changes with the spec, but not with the status. */
function requestedState({ metadata: { generation, annotations = {}, deletionTimestamp } }: Live): string {
  return JSON.stringify([generation, annotations, deletionTimestamp]);
}

/** The key of the cache that controls a child. */
export function ownerKey(object: Live): string | undefined {
  const owner = controllerOf(object);
  return owner?.kind === KIND ? `${object.metadata.namespace ?? ''}/${owner.name}` : undefined;
}
