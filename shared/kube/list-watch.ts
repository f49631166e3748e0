/**
 * Follows a collection of the Kubernetes API in one loop: list, watch, repeat. After any error or end of a watch the loop
 * continues with backoff; only the signal ends it.
 */
import { fullJitter, type Backoff } from '#shared/backoff.ts';
import type { Clock } from '#shared/clock.ts';
import type { Log } from '#shared/log.ts';
import type { KubeClient, Query } from './client.ts';
import { KubeError } from './error.ts';
import type { KubeList, KubeObject } from './types.ts';

export interface ListWatchObserver {
  /** A complete list was read and delivered. */
  listed(itemCount: number): void;
  /** A watch received an event or a bookmark. */
  alive(): void;
  /**
   * A list or a watch ended: `eof`, `gone`, `overdue`, `silent`, `timeout`, `unreachable`, `malformed`,
   * `status_<code>`.
   */
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
  /** Receives the complete list, which replaces all earlier state. If it throws, the error is logged. */
  readonly onList: (items: readonly T[]) => void;
  /** Receives one change since the last list. If it throws, the error is logged. */
  readonly onEvent: (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T) => void;
  readonly observe?: Partial<ListWatchObserver>;
  readonly silenceMs?: number;
  readonly relistMs?: number;
  /**
   * The resource may not be installed. Then the collection counts as empty, which is logged once, and it is listed
   * again with backoff.
   */
  readonly mayBeAbsent?: boolean;
}

/**
 * Bookmarks arrive about once a minute, so a live watch is not silent for this long. The API server sends none before the
 * first event of a resource since its own start: then the watch is replaced all the same, but nothing has failed.
 */
const SILENCE_MS = 100_000;
/** A periodic list repairs anything that a watch may have missed. */
const RELIST_MS = 10 * 60_000;
/**
 * The server ends a watch after this time, with jitter: so a half-open connection is noticed, and reconnects are spread.
 */
const WATCH_SECONDS = 300;
const WATCH_JITTER = 0.2;
/** Grace period for a server that does not end a watch in time. */
const OVERDUE_MS = 30_000;
const PAGE_SIZE = 500;
/** More than any selector of ours matches. Bounds the memory if a selector is wrong. */
const MAX_ITEMS = 100_000;
const BACKOFF_INITIAL_MS = 500;
const BACKOFF_MAX_MS = 30_000;
/** A watch that lasted this long was healthy, so its end does not count as a repeated failure. */
const STABLE_MS = 5000;
/** The upper limit for Retry-After. */
const MAX_RETRY_AFTER_MS = 60_000;

class Overdue extends Error {}

/** Resolves when the signal aborts; calls no handler after that. */
export async function listWatch<T extends KubeObject>(options: ListWatchOptions<T>): Promise<void> {
  await new ListWatcher(options).run();
}

class ListWatcher<T extends KubeObject> {
  readonly #options: ListWatchOptions<T>;
  readonly #random: () => number;
  readonly #relistMs: number;
  readonly #backoff: Backoff;
  /** The start of the next watch; undefined = list first. */
  #resourceVersion: string | undefined;
  #listedAtMs = 0;
  #isAbsent = false;
  /** Whether the newest watch has received an event or a bookmark. */
  #hasHeard = false;

  constructor(options: ListWatchOptions<T>) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#relistMs = options.relistMs ?? RELIST_MS;
    this.#backoff = fullJitter(BACKOFF_INITIAL_MS, BACKOFF_MAX_MS, this.#random);
  }

  async run(): Promise<void> {
    const { signal, clock } = this.#options;
    while (!signal.aborted) {
      let watchedAtMs: number | undefined;
      let failure: unknown;
      try {
        if (this.#resourceVersion === undefined || clock.now() - this.#listedAtMs >= this.#relistMs)
          this.#resourceVersion = await this.#list();
        watchedAtMs = clock.now();
        await this.#watch(this.#resourceVersion);
      } catch (error) {
        failure = error;
      }
      if (signal.aborted) return;
      const isStable = watchedAtMs !== undefined && clock.now() - watchedAtMs >= STABLE_MS;
      await this.#pause(failure, isStable);
    }
  }

  /** Reports why the list or watch ended, and waits before the next attempt. */
  async #pause(failure: unknown, isStable: boolean): Promise<void> {
    const { path, signal, clock, log, observe = {} } = this.#options;
    const cause = causeOf(failure);
    observe.restarted?.(cause);
    if (cause === 'gone') this.#resourceVersion = undefined;
    const wasHealthy = isStable && cause !== 'timeout';
    if (wasHealthy) this.#backoff.reset();
    const isAbsent = cause === 'status_404' && this.#options.mayBeAbsent === true;
    if (isAbsent) this.#absent();
    const isQuiet = cause === 'silent' && !this.#hasHeard;
    const isExpected = cause === 'eof' || cause === 'gone' || cause === 'overdue' || isAbsent || isQuiet;
    if (!isExpected) log.warn('list or watch of the Kubernetes API failed', { path, cause, error: failure });
    if (wasHealthy && isExpected) return;
    const hintMs = failure instanceof KubeError ? Math.min(failure.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS) : 0;
    await clock.sleep(Math.max(hintMs, this.#backoff.nextMs()), signal).catch(ignoreAbort(signal));
  }

  #absent(): void {
    const { path, log, onList } = this.#options;
    this.#resourceVersion = undefined;
    if (this.#isAbsent) return;
    this.#isAbsent = true;
    log.info('the API server does not have this resource', { path });
    this.#deliver(() => onList([]));
  }

  /** Reads all pages and delivers them. Resolves with the list's resourceVersion. */
  async #list(): Promise<string> {
    const { client, path, query, signal, clock, onList, observe = {} } = this.#options;
    const items: T[] = [];
    let next: string | undefined;
    for (;;) {
      const page: KubeList<T> = await client.request<KubeList<T>>('GET', path, {
        query: { ...query, limit: PAGE_SIZE, continue: next },
        signal,
      });
      for (const item of page.items) items.push(withKind(item, page));
      if (items.length > MAX_ITEMS) throw new KubeError(0, 'Malformed', `GET ${path}: more than ${MAX_ITEMS} items`);
      next = page.metadata.continue === '' ? undefined : page.metadata.continue;
      if (next !== undefined) continue;
      const { resourceVersion } = page.metadata;
      if (resourceVersion === undefined)
        throw new KubeError(0, 'Malformed', `GET ${path}: the list has no resourceVersion`);
      this.#listedAtMs = clock.now();
      this.#isAbsent = false;
      this.#deliver(() => onList(items));
      if (!signal.aborted) observe.listed?.(items.length);
      return resourceVersion;
    }
  }

  /** Delivers events until the server ends the watch. Throws on failure. */
  async #watch(from: string): Promise<void> {
    const { client, path, signal, clock, silenceMs = SILENCE_MS, observe = {} } = this.#options;
    this.#hasHeard = false;
    const timeoutSeconds = this.#watchSeconds();
    const overdue = new AbortController();
    const cancelOverdue = clock.after(timeoutSeconds * 1000 + OVERDUE_MS, () => overdue.abort(new Overdue()));
    const query = { ...this.#options.query, resourceVersion: from, allowWatchBookmarks: true, timeoutSeconds };
    try {
      for await (const { type, object } of client.watch<T>(path, query, {
        signal: AbortSignal.any([signal, overdue.signal]),
        silenceMs,
      })) {
        if (signal.aborted) return;
        this.#hasHeard = true;
        // Updated before the handler runs, so that a failing handler does not see the same event again forever.
        this.#resourceVersion = object.metadata.resourceVersion ?? this.#resourceVersion;
        observe.alive?.();
        if (type !== 'BOOKMARK') this.#deliver(() => this.#options.onEvent(type, object));
      }
    } finally {
      cancelOverdue();
    }
  }

  /** Ends with the next list at the latest, but not before a second. */
  #watchSeconds(): number {
    const untilRelistMs = Math.max(this.#listedAtMs + this.#relistMs - this.#options.clock.now(), 1000);
    const seconds = WATCH_SECONDS * (1 + WATCH_JITTER * (2 * this.#random() - 1));
    return Math.ceil(Math.min(seconds, untilRelistMs / 1000));
  }

  #deliver(call: () => void): void {
    const { path, signal, log } = this.#options;
    if (signal.aborted) return;
    try {
      call();
    } catch (error) {
      log.error('list-watch handler threw', { path, error });
    }
  }
}

/** Adds kind and apiVersion, which list items lack and watch events have. */
function withKind<T extends KubeObject>(item: T, list: KubeList<T>): T {
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
