/** Event sources of a work queue: watches of a controller's collections. A change adds the keys that it concerns. */
import type { Collection } from '#operator/api/collection.ts';
import type { Live } from '#operator/api/manifest.ts';
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
  readonly collections: readonly Collection[];
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
 * Each relist reconciles all objects of a collection with `resync`. Unchanged ones are spread over this time to avoid a
 * thundering herd.
 */
const RESYNC_SPREAD_MS = 60_000;

interface Seen {
  readonly keys: readonly string[];
  readonly version: string;
}

export function openSources(options: SourcesOptions): Sources {
  const { client, clock, log, queue, signal, collections } = options;
  const random = options.random ?? Math.random;
  const unsynced = new Set<string>();

  function watchCollection(collection: Collection, path: string): Promise<void> {
    const { query = {}, resync, mayBeAbsent = false } = collection;
    const seenOf = (object: Live): Seen => ({
      keys: collection.keysOf(object),
      version: collection.versionOf(object),
    });
    /** The last seen state of each object, by uid: to detect changes, and deletions between two lists. */
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
      mayBeAbsent,
      onList(items) {
        const before = seen;
        seen = new Map(items.map((item) => [item.metadata.uid, seenOf(item)]));
        // After a start every object is new to this process, but none has changed.
        const urgency = isFirst ? 'due' : 'changed';
        isFirst = false;
        for (const [uid, { keys }] of before) if (!seen.has(uid)) add(keys);
        for (const [uid, { keys, version }] of seen) {
          if (before.get(uid)?.version !== version) add(keys, urgency);
          else if (resync) for (const key of keys) queue.addAfter(key, random() * RESYNC_SPREAD_MS);
        }
        unsynced.delete(path);
      },
      onEvent(type, object) {
        const now = seenOf(object);
        const before = seen.get(object.metadata.uid);
        // Such as the operator's own status update.
        if (type === 'MODIFIED' && before?.version === now.version) return;
        // A change of owner affects both caches.
        if (before !== undefined) add(before.keys);
        add(now.keys);
        if (type === 'DELETED') seen.delete(object.metadata.uid);
        else seen.set(object.metadata.uid, now);
      },
    });
  }

  function add(keys: readonly string[], urgency: Urgency = 'changed'): void {
    for (const key of keys) queue.add(key, urgency);
  }

  const loops: Promise<void>[] = [];
  for (const namespace of options.namespaces.length === 0 ? [undefined] : options.namespaces)
    for (const collection of collections) loops.push(watchCollection(collection, collection.path(namespace)));
  return { synced: () => unsynced.size === 0, ended: Promise.all(loops).then(() => {}) };
}
