/**
 * List, watch, and start over: one loop that follows a collection for as long as the process lives. Whatever ends a
 * watch returns to the top; nothing but the signal ends the loop.
 */
import { fullJitter } from '#shared/backoff.ts';
import type { Clock } from '#shared/clock.ts';
import type { Log } from '#shared/log.ts';
import type { KubeClient, Query } from './client.ts';
import { KubeError } from './error.ts';
import type { KubeList, KubeObject, WatchEvent } from './types.ts';

export interface ListWatchObserver {
  /** A whole list was read and handed over. */
  listed(itemCount: number): void;
  /** Sign of life of a watch: an event or a bookmark. */
  alive(): void;
  /** A list or a watch ended: `eof`, `gone`, `overdue`, `silent`, `timeout`, `unreachable`, `malformed`, `status_<code>`. */
  restarted(cause: string): void;
}

export interface ListWatchOptions<T extends KubeObject> {
  readonly client: KubeClient;
  /** The collection, such as `/apis/discovery.k8s.io/v1/namespaces/ml/endpointslices`. */
  readonly path: string;
  /** Selectors. */
  readonly query?: Query;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1). */
  readonly random?: () => number;
  /** Replaces all that was known. A throw is logged and changes nothing. */
  readonly onList: (items: readonly T[]) => void;
  /** One change behind the last list. A throw is logged and changes nothing. */
  readonly onEvent: (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T) => void;
  readonly observe?: Partial<ListWatchObserver>;
  readonly silenceMs?: number;
  readonly relistMs?: number;
}

/** Bookmarks come about once a minute, so a live watch is never so long silent. */
const SILENCE_MS = 100_000;
/** A list repairs whatever a watch may have missed. */
const RELIST_MS = 10 * 60_000;
/** The server ends a watch after this, give or take a fifth, so that a half-open connection is noticed and load spreads. */
const WATCH_SECONDS = 300;
const WATCH_JITTER = 0.2;
/** A server that does not end a watch when it said it would. */
const OVERDUE_MS = 30_000;
const PAGE_SIZE = 500;
/** More than we ever select; beyond it a selector is wrong, and memory is not the place to find out. */
const MAX_ITEMS = 100_000;
const BACKOFF_INITIAL_MS = 500;
const BACKOFF_MAX_MS = 30_000;
/** A watch that lived so long was a good one: what ends it is news, not the same failure again. */
const STABLE_MS = 5000;
/** Retry-After is honoured, within reason. */
const MAX_RETRY_AFTER_MS = 60_000;

class Overdue extends Error {}

/** Resolves when the signal aborts; calls nothing after that. */
export async function listWatch<T extends KubeObject>(options: ListWatchOptions<T>): Promise<void> {
  const { client, path, signal, clock, log, observe = {} } = options;
  const random = options.random ?? Math.random;
  const relistMs = options.relistMs ?? RELIST_MS;
  const backoff = fullJitter(BACKOFF_INITIAL_MS, BACKOFF_MAX_MS, random);
  /** Where the next watch starts; undefined = list first. */
  let resourceVersion: string | undefined;
  let listedAtMs = 0;

  async function list(): Promise<string> {
    const items: T[] = [];
    let next: string | undefined;
    for (;;) {
      const page: KubeList<T> = await client.request<KubeList<T>>('GET', path, {
        query: { ...options.query, limit: PAGE_SIZE, continue: next },
        signal,
      });
      for (const item of page.items) items.push(named(item, page));
      if (items.length > MAX_ITEMS) throw new KubeError(0, 'Malformed', `GET ${path}: more than ${MAX_ITEMS} items`);
      next = page.metadata.continue === '' ? undefined : page.metadata.continue;
      if (next !== undefined) continue;
      const version = page.metadata.resourceVersion;
      if (version === undefined) throw new KubeError(0, 'Malformed', `GET ${path}: a list without resourceVersion`);
      listedAtMs = clock.now();
      deliver(() => options.onList(items));
      if (!signal.aborted) observe.listed?.(items.length);
      return version;
    }
  }

  async function watch(from: string): Promise<void> {
    const leftMs = Math.max(listedAtMs + relistMs - clock.now(), 1000);
    const seconds = WATCH_SECONDS * (1 + WATCH_JITTER * (2 * random() - 1));
    const timeoutSeconds = Math.ceil(Math.min(seconds, leftMs / 1000));
    const overdue = new AbortController();
    const cancelOverdue = clock.after(timeoutSeconds * 1000 + OVERDUE_MS, () => overdue.abort(new Overdue()));
    const query = { ...options.query, resourceVersion: from, allowWatchBookmarks: true, timeoutSeconds };
    try {
      for await (const event of client.watch<T>(path, query, {
        signal: AbortSignal.any([signal, overdue.signal]),
        silenceMs: options.silenceMs ?? SILENCE_MS,
      })) {
        if (signal.aborted) return;
        // Before the handler, so that its failure can't make us see the same event for ever.
        resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion;
        observe.alive?.();
        handle(event);
      }
    } finally {
      cancelOverdue();
    }
  }

  function handle({ type, object }: WatchEvent<T>): void {
    if (type !== 'BOOKMARK') deliver(() => options.onEvent(type, object));
  }

  function deliver(call: () => void): void {
    if (signal.aborted) return;
    try {
      call();
    } catch (error) {
      log.error('a list-watch handler threw', { path, error });
    }
  }

  while (!signal.aborted) {
    let watchedAtMs: number | undefined;
    let failure: unknown;
    try {
      if (resourceVersion === undefined || clock.now() - listedAtMs >= relistMs) resourceVersion = await list();
      watchedAtMs = clock.now();
      await watch(resourceVersion);
    } catch (error) {
      failure = error;
    }
    if (signal.aborted) return;
    const cause = causeOf(failure);
    observe.restarted?.(cause);
    if (cause === 'gone') resourceVersion = undefined;
    const lived = watchedAtMs !== undefined && clock.now() - watchedAtMs >= STABLE_MS && cause !== 'timeout';
    if (lived) backoff.reset();
    const expected = cause === 'eof' || cause === 'gone' || cause === 'overdue';
    if (!expected) log.warn('a list or watch of the Kubernetes API failed', { path, cause, error: failure });
    if (lived && expected) continue;
    const hintMs = failure instanceof KubeError ? Math.min(failure.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS) : 0;
    await clock.sleep(Math.max(hintMs, backoff.nextMs()), signal).catch(ignoreAbort(signal));
  }
}

/** List items come without kind and apiVersion, events with them; handlers see both alike. */
function named<T extends KubeObject>(item: T, list: KubeList<T>): T {
  if (item.kind !== undefined || list.kind === undefined || list.apiVersion === undefined) return item;
  return { ...item, kind: list.kind.replace(/List$/, ''), apiVersion: list.apiVersion };
}

function causeOf(failure: unknown): string {
  if (failure === undefined) return 'eof';
  if (failure instanceof Overdue) return 'overdue';
  if (!(failure instanceof KubeError)) return 'malformed';
  if (failure.status === 410) return 'gone';
  return failure.status === 0 ? failure.reason.toLowerCase() : `status_${failure.status}`;
}

function ignoreAbort(signal: AbortSignal): (error: unknown) => void {
  return (error) => {
    if (!signal.aborted) throw error;
  };
}
