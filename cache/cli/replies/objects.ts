/** `/objects` of a pod: pages of a bucket, and the chunks of an object. */
import { hasStatus } from '#shared/kube/error.ts';
import type { Query } from '#shared/kube/client.ts';
import type { CachePod, Cluster } from '#cache/cli/cluster/cluster.ts';
import { CliError } from '#cache/cli/frame/errors.ts';
import { countAt, itemsAt, numberAt, textAt, textsAt, type Fields } from './fields.ts';
import { isUnknownPath } from './gather.ts';

export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly lastModifiedMs: number;
  readonly storageClass: string;
  readonly chunkCount: number;
  /** Undefined = the cachestore was not queried, or did not answer. */
  readonly storedBytes: number | undefined;
  readonly storedChunks: number | undefined;
  /** The digits of its version; empty = a pod of an older release. */
  readonly version: string;
  /** The names of the prewarms that pin it, or of the pins; undefined = not known. */
  readonly pins: readonly string[] | undefined;
  readonly lastReadMs: number | undefined;
}

export interface ObjectPage {
  readonly objects: readonly ListedObject[];
  readonly prefixes: readonly string[];
  /** Why something is not known. */
  readonly problems: readonly string[];
}

export interface ListRequest {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
  readonly stored: boolean;
  /** Whether to look up pins and last reads. */
  readonly use?: boolean;
}

/** Page by page, as the pod sends them; never all in memory. */
export async function* listObjects(
  cluster: Cluster,
  pod: CachePod,
  request: ListRequest,
  signal: AbortSignal,
): AsyncGenerator<ObjectPage, void, void> {
  let after: string | undefined = '';
  while (after !== undefined) {
    const answer: Fields = await getObjects(cluster, pod, { ...request, after }, signal);
    const items = itemsAt(answer, 'items');
    yield {
      objects: items.filter((item) => typeof item['key'] === 'string').map(objectOf),
      prefixes: items.flatMap((item) => (typeof item['prefix'] === 'string' ? [item['prefix']] : [])),
      problems: textsAt(answer, 'problems'),
    };
    const next: string = textAt(answer, 'next');
    // A pod that names the same place twice would never end.
    after = next === '' || next === after ? undefined : next;
  }
}

/** Rejects with the pod's own message. */
export async function getObjects(cluster: Cluster, pod: CachePod, query: Query, signal: AbortSignal): Promise<Fields> {
  try {
    return (await cluster.get(pod, '/objects', query, signal)) as Fields;
  } catch (error) {
    if (isUnknownPath(error))
      throw new CliError(`pod ${pod.name} runs a release without this report: update the cache`, error);
    if (hasStatus(error, 400, 404, 416, 501)) throw new CliError(error.message.replace(/^GET \S+: \d+ /, ''), error);
    throw error;
  }
}

function objectOf(item: Fields): ListedObject {
  return {
    key: textAt(item, 'key'),
    sizeBytes: countAt(item, 'sizeBytes'),
    etag: textAt(item, 'etag'),
    lastModifiedMs: countAt(item, 'lastModifiedMs'),
    storageClass: textAt(item, 'storageClass'),
    chunkCount: countAt(item, 'chunkCount'),
    storedBytes: numberAt(item, 'storedBytes'),
    storedChunks: numberAt(item, 'storedChunks'),
    version: textAt(item, 'version'),
    pins: Array.isArray(item['pins']) ? textsAt(item, 'pins') : undefined,
    lastReadMs: numberAt(item, 'lastReadMs'),
  };
}
