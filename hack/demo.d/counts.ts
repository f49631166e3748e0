/** Counts the origin requests of a pass twice: by the proxy in front of the origin and by the metrics of the cache pods. */
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from './failure.ts';
import type { Kubectl } from './kubectl.ts';
import { CACHE_SELECTOR, NAMESPACE, PORT } from './names.ts';

/** The response of `counting-proxy.ts`. */
interface ProxyNumbers {
  readonly inFlight: number;
  readonly total: { readonly requests: number; readonly bodyBytes: number };
  readonly operations: Readonly<Record<string, { readonly bodyBytes: number }>>;
  readonly failedResponses: number;
}

type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

export interface PodSamples {
  readonly node: string;
  readonly samples: readonly Sample[];
}

export interface Snapshot {
  readonly proxy: ProxyNumbers;
  readonly pods: ReadonlyMap<string, PodSamples>;
}

/** The difference between two snapshots. */
export interface Counts {
  /** `objectBytes`: without those of lists. */
  readonly proxy: { readonly bytes: number; readonly objectBytes: number; readonly requests: number };
  readonly own: { readonly bytes: number; readonly requests: number };
  /** `X-Cache` of the responses → number of responses. */
  readonly requestsByCache: ReadonlyMap<string, number>;
  readonly bytesBySource: ReadonlyMap<string, number>;
  /** Bytes of chunks committed to the cachestore. */
  readonly committedBytes: number;
  /** Retries and fallbacks of the pods → how often. */
  readonly anomalies: ReadonlyMap<string, number>;
  readonly pods: readonly { readonly name: string; readonly node: string; readonly fills: number }[];
}

/** The commit of a fill may end after its last reader, but within this time. */
const SETTLE_TIMEOUT_MS = 60_000;
const SETTLE_POLL_MS = 200;

/** Waits until no request, fill or commit is in flight, so that the numbers of different processes are consistent. */
export async function takeSnapshot(kubectl: Kubectl, signal: AbortSignal): Promise<Snapshot> {
  const deadlineMs = performance.now() + SETTLE_TIMEOUT_MS;
  while (true) {
    const [proxy, pods] = await Promise.all([proxyNumbers(kubectl), podSamples(kubectl)]);
    const busy = workInProgress(proxy, pods);
    if (busy === undefined) return { proxy, pods };
    if (performance.now() > deadlineMs)
      throw new Failure(`still in flight after ${SETTLE_TIMEOUT_MS / 1000} s: ${busy}`);
    await delay(SETTLE_POLL_MS, undefined, { signal });
  }
}

function workInProgress(proxy: ProxyNumbers, pods: ReadonlyMap<string, PodSamples>): string | undefined {
  if (proxy.inFlight > 0) return `${proxy.inFlight} origin requests`;
  for (const [name, { samples }] of pods) {
    const flights = total(samples, 'orca_fills_running');
    if (flights > 0) return `${flights} fills in ${name}`;
    const commits = total(samples, 'orca_outbox_commits');
    if (commits > 0) return `${commits} cachestore commits in ${name}`;
  }
  return undefined;
}

export function countsBetween(before: Snapshot, after: Snapshot): Counts {
  const grown = (metric: string, filter: (labels: Labels) => boolean = () => true): number =>
    [...after.pods].reduce((sum, [name, pod]) => {
      const earlier = before.pods.get(name)?.samples ?? [];
      return sum + total(pod.samples, metric, filter) - total(earlier, metric, filter);
    }, 0);
  const grownBy = (metric: string, label: string): Map<string, number> => {
    const values = new Set(
      [...after.pods.values()].flatMap(({ samples }) =>
        samples.filter(({ name }) => name === metric).map(({ labels }) => labels[label] ?? ''),
      ),
    );
    const counts = [...values].map((value) => [value, grown(metric, (labels) => labels[label] === value)] as const);
    return new Map(counts.filter(([, count]) => count > 0));
  };
  return {
    proxy: {
      bytes: after.proxy.total.bodyBytes - before.proxy.total.bodyBytes,
      objectBytes: objectBytesOf(after.proxy) - objectBytesOf(before.proxy),
      requests: after.proxy.total.requests - before.proxy.total.requests,
    },
    own: { bytes: grown('orca_origin_bytes_total'), requests: grown('orca_origin_requests_total') },
    requestsByCache: grownBy('orca_edge_requests_total', 'cache'),
    bytesBySource: grownBy('orca_served_bytes_total', 'source'),
    committedBytes: grown('orca_committed_bytes_total'),
    anomalies: anomaliesBetween(grown, (metric) => labelSetsOf(after, metric)),
    pods: [...after.pods].map(([name, { node, samples }]) => ({
      name,
      node,
      fills: filledIn(samples) - filledIn(before.pods.get(name)?.samples ?? []),
    })),
  };
}

function objectBytesOf({ operations }: ProxyNumbers): number {
  return ['GET object', 'GET object range'].reduce((sum, name) => sum + (operations[name]?.bodyBytes ?? 0), 0);
}

function filledIn(samples: readonly Sample[]): number {
  return total(samples, 'orca_fills_total', ({ outcome }) => outcome === 'committed');
}

/** The distinct label sets of a metric over all pods. */
function labelSetsOf({ pods }: Snapshot, metric: string): Labels[] {
  const all = [...pods.values()].flatMap(({ samples }) => samples.filter(({ name }) => name === metric));
  return [...new Map(all.map(({ labels }) => [JSON.stringify(labels), labels])).values()];
}

type Grown = (metric: string, filter: (labels: Labels) => boolean) => number;

/** `labelSets` returns the distinct label sets of a metric. */
function anomaliesBetween(grown: Grown, labelSets: (metric: string) => readonly Labels[]): Map<string, number> {
  const same = (a: Labels, b: Labels): boolean => Object.entries(a).every(([name, value]) => b[name] === value);
  const fallbacks = labelSets('orca_source_fallbacks_total')
    // Expected: a chunk that no replica has fetched yet is not in the cachestore.
    .filter(({ source, reason }) => !(source === 'store' && reason === 'chunk_missing'))
    .map((labels) => {
      const count = grown('orca_source_fallbacks_total', (other) => same(labels, other));
      return [`${labels['source']?.replaceAll('_', '-')}: ${labels['reason']}`, count] as const;
    });
  const fills = (outcome: string): number => grown('orca_fills_total', (labels) => labels['outcome'] === outcome);
  const counts = [
    ['failed origin request', grown('orca_origin_requests_total', ({ outcome }) => outcome === 'error')],
    ...fallbacks,
    ['failed commit', fills('uncommitted')],
    ['chunk filled twice', fills('lost')],
    ['failed fill', fills('failed')],
    ['cancelled fill', fills('cancelled')],
  ] as const;
  return new Map(counts.filter(([, count]) => count > 0));
}

async function proxyNumbers(kubectl: Kubectl): Promise<ProxyNumbers> {
  const path = `/api/v1/namespaces/${NAMESPACE}/services/origin-proxy:${PORT.proxyNumbers}/proxy/_stats`;
  return JSON.parse(await kubectl(['get', '--raw', path])) as ProxyNumbers;
}

async function podSamples(kubectl: Kubectl): Promise<Map<string, PodSamples>> {
  const pods = (await kubectl.pods(NAMESPACE, CACHE_SELECTOR)).filter(({ terminating }) => !terminating);
  const entries = await Promise.all(
    pods.map(async ({ name, node }) => {
      const path = `/api/v1/namespaces/${NAMESPACE}/pods/${name}:${PORT.ops}/proxy/metrics`;
      return [name, { node, samples: parseMetrics(await kubectl(['get', '--raw', path])) }] as const;
    }),
  );
  return new Map(entries);
}

function total(samples: readonly Sample[], metric: string, filter: (labels: Labels) => boolean = () => true): number {
  return samples
    .filter(({ name, labels }) => name === metric && filter(labels))
    .reduce((sum, { value }) => sum + value, 0);
}

/** Parses counters and gauges of the Prometheus text format. */
export function parseMetrics(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    const [, name, labelText = '', value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    const labels = Object.fromEntries(
      [...labelText.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = '', labelValue = '']) => [key, labelValue]),
    );
    samples.push({ name, labels, value: Number(value) });
  }
  return samples;
}
