/** Everything about one cache that its pods report, at one moment. */
import { KubeError } from '#shared/kube/error.ts';
import { openSemaphore } from '#shared/semaphore.ts';
import type { Clock } from '#shared/clock.ts';
import type { CachePod, CacheRef, Cluster } from '#cache/cli/cluster/cluster.ts';
import { isFields, numberAt, type Fields } from './fields.ts';

export interface PodReport {
  readonly pod: CachePod;
  /** `/status`, `/top` and `/store`; undefined = the pod does not answer, or its release does not have it. */
  readonly status: Fields | undefined;
  readonly top: Fields | undefined;
  readonly store: Fields | undefined;
  /** Why there is no status. */
  readonly failure: Failure | undefined;
  /** How far the pod's clock is ahead of this machine's; undefined = not reported. */
  readonly clockAheadMs: number | undefined;
}

export interface Failure {
  /** `forbidden`: by the API server. `not_running`: no request was sent. */
  readonly kind: 'forbidden' | 'unreachable' | 'not_running' | 'other';
  readonly message: string;
}

export interface CacheReport {
  readonly cache: CacheRef;
  readonly pods: readonly PodReport[];
}

/** Concurrent requests: a hundred replicas take a second, and the load on the API server is small. */
const AT_ONCE = 16;

export async function gather(
  { cluster, clock, signal }: { readonly cluster: Cluster; readonly clock: Clock; readonly signal: AbortSignal },
  cache: CacheRef,
): Promise<CacheReport> {
  const pods = await cluster.pods(cache, signal);
  const withPermit = openSemaphore(AT_ONCE);
  const reports = pods.map((pod) => withPermit(signal, () => reportOf(cluster, clock, pod, signal)));
  return { cache, pods: await Promise.all(reports) };
}

async function reportOf(cluster: Cluster, clock: Clock, pod: CachePod, signal: AbortSignal): Promise<PodReport> {
  const nothing = { pod, status: undefined, top: undefined, store: undefined, clockAheadMs: undefined };
  if (!pod.isRunning) return { ...nothing, failure: { kind: 'not_running', message: 'the pod is not running' } };
  const status = await ask(cluster, pod, '/status', signal);
  if (status instanceof KubeError) return { ...nothing, failure: failureOf(status) };
  const askedMs = clock.date();
  const top = await ask(cluster, pod, '/top', signal);
  const middleMs = (askedMs + clock.date()) / 2;
  const store = await ask(cluster, pod, '/store', signal);
  const dateMs = numberAt(top, 'dateMs');
  return {
    pod,
    status,
    top: top instanceof KubeError ? undefined : top,
    store: store instanceof KubeError ? undefined : store,
    failure: undefined,
    clockAheadMs: dateMs === undefined ? undefined : Math.round(dateMs - middleMs),
  };
}

async function ask(cluster: Cluster, pod: CachePod, path: string, signal: AbortSignal): Promise<Fields | KubeError> {
  try {
    const answer = await cluster.get(pod, path, {}, signal);
    return isFields(answer) ? answer : new KubeError(0, 'Malformed', `${path}: not a JSON object`);
  } catch (error) {
    if (error instanceof KubeError) return error;
    throw error;
  }
}

export function failureOf(error: KubeError): Failure {
  const { status, reason, message } = error;
  if (status === 401 || status === 403) return { kind: 'forbidden', message };
  // The API server's proxy answers 500 or 503 with the error of its connection to the pod.
  if (status === 0 || status === 500 || (status >= 502 && status <= 504)) return { kind: 'unreachable', message };
  return { kind: 'other', message: message === '' ? reason : message };
}

/** Whether the API server or a pod does not know the path: a pod of an older release. */
export function isUnknownPath(error: unknown): boolean {
  return error instanceof KubeError && error.status === 404 && error.message.includes('404 Not Found');
}
