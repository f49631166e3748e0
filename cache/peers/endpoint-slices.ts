/**
 * Cluster membership from the EndpointSlices of the headless Service, by list and watch. It fails static: while the API
 * server can't be reached, the peers stay as they are.
 */
import { OrcaError } from '#cache/core/errors.ts';
import { countEndpoints, peerSetOf, type EndpointSlice, type SelfPeer } from '#cache/core/peer-set.ts';
import type { PeerSet, PeerView } from '#cache/engine/ports.ts';
import type { Clock } from '#shared/clock.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { listWatch, type ListWatchObserver } from '#shared/kube/list-watch.ts';
import type { KubeObject } from '#shared/kube/types.ts';
import type { Log } from '#shared/log.ts';
import { publishedView, type PublishedView } from './published-view.ts';

export interface EndpointSlicesOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly service: string;
  /** POD_IP, and the ports of the peer listeners of this pod's workers. */
  readonly self: Omit<SelfPeer, 'leaving'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
  /** Aborts at SIGTERM: soon afterwards this replica owns nothing, even if the API server can't be reached. */
  readonly stopping?: AbortSignal;
  readonly observe?: Partial<ListWatchObserver>;
}

/** Events are batched: a rollout changes many endpoints at nearly the same time, and each new view moves chunks. */
const BATCH_MS = 100;
/** Longer than the API server takes to announce a deleted pod to every replica. */
const LEAVE_AFTER_MS = 3000;

type Slice = EndpointSlice & KubeObject;

export function openEndpointSlices(options: EndpointSlicesOptions): PeerView {
  return new EndpointSliceView(options);
}

class EndpointSliceView implements PeerView {
  readonly #options: EndpointSlicesOptions;
  readonly #view: PublishedView;
  readonly #openedAtMs: number;
  readonly #stop = new AbortController();
  readonly #first = Promise.withResolvers<void>();
  /** Resolves when the list-watch loop has ended. */
  readonly #ended: Promise<void>;
  readonly #onStopping = (): void => this.#leaveLater();
  #slices = new Map<string, Slice>();
  /** `#slices` is exactly a list: no event has changed it since. */
  #isListed = false;
  /** The slices that the current view was computed from. */
  #accepted: readonly Slice[] = [];
  #listedAtMs: number | undefined;
  #isLeaving = false;
  #cancelBatch: (() => void) | undefined;

  constructor(options: EndpointSlicesOptions) {
    this.#options = options;
    const { clock, log, stopping } = options;
    this.#openedAtMs = clock.now();
    this.#view = publishedView(this.#peersNow(), log);
    // Callers that do not wait for readiness must not see its rejection as unhandled.
    this.#first.promise.catch(() => {});
    // The loop ends only by its signal. Any other end is a bug: it is logged, and must not end the process.
    this.#ended = this.#listWatch().catch((error: unknown) =>
      log.error('peer view: the EndpointSlice watch ended unexpectedly', { error }),
    );
    if (stopping?.aborted === true) this.#onStopping();
    else stopping?.addEventListener('abort', this.#onStopping, { once: true });
  }

  current(): PeerSet {
    return this.#view.current();
  }

  onChange(listener: (peers: PeerSet) => void): () => void {
    return this.#view.onChange(listener);
  }

  ready(): Promise<void> {
    return this.#first.promise;
  }

  staleMs(): number {
    return this.#options.clock.now() - (this.#listedAtMs ?? this.#openedAtMs);
  }

  async close(): Promise<void> {
    this.#options.stopping?.removeEventListener('abort', this.#onStopping);
    this.#stop.abort(new OrcaError('cancelled', 'the peer view is closed'));
    this.#cancelBatch?.();
    this.#view.close();
    this.#first.reject(new OrcaError('cancelled', 'the peer view is closed'));
    await this.#ended;
  }

  #listWatch(): Promise<void> {
    const { client, namespace, service, clock, log, random, observe } = this.#options;
    return listWatch<Slice>({
      client,
      path: `/apis/discovery.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/endpointslices`,
      query: { labelSelector: `kubernetes.io/service-name=${service}` },
      signal: this.#stop.signal,
      clock,
      log,
      ...(random === undefined ? {} : { random }),
      ...(observe === undefined ? {} : { observe }),
      onList: (items) => this.#onList(items),
      onEvent: (type, slice) => this.#onEvent(type, slice),
    });
  }

  #onList(items: readonly Slice[]): void {
    this.#slices = new Map(items.map((slice) => [slice.metadata.name ?? '', slice]));
    this.#isListed = true;
    const isFirst = this.#listedAtMs === undefined;
    this.#listedAtMs = this.#options.clock.now();
    if (!isFirst) return this.#publishLater();
    this.#publish();
    this.#first.resolve();
  }

  #onEvent(type: string, slice: Slice): void {
    if (type === 'DELETED') this.#slices.delete(slice.metadata.name ?? '');
    else this.#slices.set(slice.metadata.name ?? '', slice);
    this.#isListed = false;
    this.#publishLater();
  }

  #publishLater(): void {
    this.#cancelBatch ??= this.#options.clock.after(BATCH_MS, () => this.#publish());
  }

  #publish(): void {
    const { log, self } = this.#options;
    this.#cancelBatch?.();
    this.#cancelBatch = undefined;
    const next = [...this.#slices.values()];
    // Slices are replaced by deleting and creating them, so an empty set of peers is accepted only from a full list.
    if (this.#isListed || countEndpoints(next, self.ip) > 0) this.#accepted = next;
    else log.warn('peer view: watch events leave no peers; keeping the last peers until a list confirms it');
    const before = this.#view.current();
    this.#view.publish(this.#peersNow());
    const peers = this.#view.current();
    if (peers !== before)
      log.info('peer view: changed', { owners: peers.owners, terminating: peers.terminating, epoch: peers.epoch });
  }

  #peersNow(): PeerSet {
    return peerSetOf(this.#accepted, { ...this.#options.self, leaving: this.#isLeaving });
  }

  #leaveLater(): void {
    const cancel = this.#options.clock.after(LEAVE_AFTER_MS, () => {
      this.#isLeaving = true;
      this.#publish();
    });
    this.#stop.signal.addEventListener('abort', cancel, { once: true });
  }
}
