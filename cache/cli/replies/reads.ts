/** `/reads` of pods: reads that are not in the cachestore's records yet. Each pod has them for a share of the versions. */
import { KubeError } from '#shared/kube/error.ts';
import { openSemaphore } from '#shared/semaphore.ts';
import type { CachePod, Cluster } from '#cache/cli/cluster/cluster.ts';
import { isFields } from './fields.ts';
import type { ListedObject } from './objects.ts';

/** The maximum of one request. */
const MAX_VERSIONS = 50;
/** Concurrent requests, each to another pod. */
const AT_ONCE = 16;

/** The objects with the latest read that any of the pods knows. A pod that does not answer is left out. */
export async function withRecentReads(
  cluster: Cluster,
  pods: readonly CachePod[],
  objects: readonly ListedObject[],
  signal: AbortSignal,
): Promise<readonly ListedObject[]> {
  const known = objects.filter(({ version }) => version !== '');
  const latest = new Map<string, number>();
  const withPermit = openSemaphore(AT_ONCE);
  const ask = async (pod: CachePod, batch: readonly ListedObject[]): Promise<void> => {
    const reads = await readsOf(cluster, pod, batch, signal);
    for (const [index, { version }] of batch.entries()) {
      const ms = reads[index];
      if (typeof ms === 'number') latest.set(version, Math.max(ms, latest.get(version) ?? 0));
    }
  };
  const batches = Array.from({ length: Math.ceil(known.length / MAX_VERSIONS) }, (_, number) =>
    known.slice(number * MAX_VERSIONS, (number + 1) * MAX_VERSIONS),
  );
  await Promise.all(pods.flatMap((pod) => batches.map((batch) => withPermit(signal, () => ask(pod, batch)))));
  return objects.map((object) => {
    const ms = latest.get(object.version);
    return ms === undefined ? object : { ...object, lastReadMs: Math.max(ms, object.lastReadMs ?? 0) };
  });
}

async function readsOf(
  cluster: Cluster,
  pod: CachePod,
  objects: readonly ListedObject[],
  signal: AbortSignal,
): Promise<readonly unknown[]> {
  const versions = objects.map(({ version, chunkCount }) => `${version}.${chunkCount}`).join(',');
  try {
    const answer = await cluster.get(pod, '/reads', { versions }, signal);
    const reads = isFields(answer) ? answer['lastReadMs'] : undefined;
    return Array.isArray(reads) ? (reads as readonly unknown[]) : [];
  } catch (error) {
    if (error instanceof KubeError) return [];
    throw error;
  }
}
