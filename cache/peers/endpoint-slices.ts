/**
 * Peers from the EndpointSlices of the headless Service, followed through the API server. Fail static: what the API
 * server does not say changes nothing.
 */
import { countEndpoints, peerSetOf, type EndpointSlice } from '#cache/core/peer-set.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { PeerView } from '#cache/engine/ports.ts';
import type { Clock } from '#shared/clock.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { listWatch, type ListWatchObserver } from '#shared/kube/list-watch.ts';
import type { KubeObject } from '#shared/kube/types.ts';
import type { Log } from '#shared/log.ts';
import { publishedView } from './published-view.ts';

export interface EndpointSlicesOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly service: string;
  /** POD_IP, and the port of the peer listener. */
  readonly self: { readonly ip: string; readonly port: number };
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
  /** Aborts at SIGTERM: soon after it this replica owns nothing new, even if the API server can't be asked. */
  readonly stopping?: AbortSignal;
  readonly observe?: Partial<ListWatchObserver>;
}

/** A rollout changes many endpoints at nearly the same time, and each new view moves chunks. */
const GATHER_MS = 100;
/** Longer than the API server takes to tell everybody of a deleted pod. */
const LEAVE_AFTER_MS = 3000;

type Slice = EndpointSlice & KubeObject;

export function openEndpointSlices(options: EndpointSlicesOptions): PeerView {
  const { clock, log } = options;
  const stop = new AbortController();
  const openedAtMs = clock.now();
  const first = Promise.withResolvers<void>();
  // Whoever does not ask for readiness need not hear of its failure.
  first.promise.catch(() => {});
  let slices = new Map<string, Slice>();
  /** `slices` is a whole list, with no event behind it. */
  let listed = false;
  /** What the view was last computed from. */
  let believed: readonly Slice[] = [];
  let listedAtMs: number | undefined;
  let leaving = false;
  let cancelGather: (() => void) | undefined;
  const peersNow = (): ReturnType<typeof peerSetOf> => peerSetOf(believed, { ...options.self, leaving });
  const view = publishedView(peersNow(), log);

  function publish(): void {
    cancelGather?.();
    cancelGather = undefined;
    const next = [...slices.values()];
    // Slices are replaced by deleting and creating: that nobody is left is believed only of a whole list.
    if (listed || countEndpoints(next, options.self.ip) > 0) believed = next;
    else log.warn('the events leave no peer at all: the last peers stay until a list confirms it');
    const peers = peersNow();
    const before = view.current();
    view.publish(peers);
    if (view.current() !== before)
      log.info('the peers changed', { owners: peers.owners, terminating: peers.terminating, epoch: peers.epoch });
  }

  function gather(): void {
    cancelGather ??= clock.after(GATHER_MS, publish);
  }

  const loop = listWatch<Slice>({
    client: options.client,
    path: `/apis/discovery.k8s.io/v1/namespaces/${encodeURIComponent(options.namespace)}/endpointslices`,
    query: { labelSelector: `kubernetes.io/service-name=${options.service}` },
    signal: stop.signal,
    clock,
    log,
    ...(options.random === undefined ? {} : { random: options.random }),
    ...(options.observe === undefined ? {} : { observe: options.observe }),
    onList(items) {
      slices = new Map(items.map((slice) => [slice.metadata.name ?? '', slice]));
      listed = true;
      const isFirst = listedAtMs === undefined;
      listedAtMs = clock.now();
      if (!isFirst) return gather();
      publish();
      first.resolve();
    },
    onEvent(type, slice) {
      if (type === 'DELETED') slices.delete(slice.metadata.name ?? '');
      else slices.set(slice.metadata.name ?? '', slice);
      listed = false;
      gather();
    },
  });
  // The loop ends by its signal alone; anything else is a bug that must not pass unseen, nor end the process.
  const done = loop.catch((error: unknown) => log.error('the peer view has ended', { error }));

  const onStopping = (): void => {
    const cancel = clock.after(LEAVE_AFTER_MS, () => {
      leaving = true;
      publish();
    });
    stop.signal.addEventListener('abort', cancel, { once: true });
  };
  if (options.stopping?.aborted === true) onStopping();
  else options.stopping?.addEventListener('abort', onStopping, { once: true });

  return {
    current: () => view.current(),
    onChange: (listener) => view.onChange(listener),
    ready: () => first.promise,
    staleMs: () => clock.now() - (listedAtMs ?? openedAtMs),
    async close() {
      options.stopping?.removeEventListener('abort', onStopping);
      stop.abort(new OrcaError('cancelled', 'the peer view is closed'));
      cancelGather?.();
      view.close();
      first.reject(new OrcaError('cancelled', 'the peer view is closed'));
      await done;
    },
  };
}
