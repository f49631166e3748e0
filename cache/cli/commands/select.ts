/** Which cache and which pod a command asks. */
import type { CachePod, CacheRef, Cluster } from '#cache/cli/cluster/cluster.ts';
import { findCache } from '#cache/cli/cluster/kube-cluster.ts';
import type { CommandContext } from '#cache/cli/frame/command.ts';
import { CliError, UsageError } from '#cache/cli/frame/errors.ts';
import { itemsAt, textAt } from '#cache/cli/replies/fields.ts';

export interface S3Name {
  readonly bucket: string;
  /** A key or a prefix; empty = the bucket. */
  readonly key: string;
}

/** The text after the bucket is the key as it is: nothing is decoded. */
export function parseS3Name(text: string | undefined): S3Name {
  const [, bucket = '', key = ''] = /^s3:\/\/([^/]+)(?:\/([^]*))?$/.exec(text ?? '') ?? [];
  if (bucket === '') throw new UsageError(`'${text ?? ''}' is not a name such as s3://BUCKET/KEY`);
  return { bucket, key };
}

/** `--cache`; or the only cache of the namespace that serves the bucket. */
export async function cacheOfBucket(
  { flags, signal }: CommandContext,
  cluster: Cluster,
  bucket: string,
): Promise<CacheRef> {
  const name = flags.text('cache');
  if (name !== undefined) return findCache(cluster, name, signal);
  const caches = await cluster.caches(false, signal);
  const serving = caches.filter((cache) => cache.resource === undefined || serves(cache, bucket));
  const [only] = serving;
  if (only !== undefined && serving.length === 1) return only;
  const where = `in namespace ${cluster.namespace}`;
  if (serving.length > 1)
    throw new CliError(
      `${serving.length} caches serve bucket ${bucket} ${where}: choose with --cache (${namesOf(serving)})`,
    );
  const known = caches.length === 0 ? 'there is no cache' : `the caches are ${namesOf(caches)}`;
  throw new CliError(`no cache serves bucket ${bucket} ${where}: ${known}; -n selects another namespace`);
}

/** A pod that should answer. Any will do: each replica serves every object. */
export async function somePod(cluster: Cluster, cache: CacheRef, signal: AbortSignal): Promise<CachePod> {
  const running = (await cluster.pods(cache, signal)).filter(({ isRunning }) => isRunning);
  const pod = running.find(isReady) ?? running[0];
  if (pod === undefined)
    throw new CliError(`cache ${cache.name} has no running pod: kubectl orca doctor ${cache.name}`);
  return pod;
}

function serves({ resource }: CacheRef, bucket: string): boolean {
  return itemsAt(resource, 'spec', 'origin', 'buckets').some((rule) => {
    const name = textAt(rule, 'name');
    return name === bucket || (name.endsWith('*') && bucket.startsWith(name.slice(0, -1)));
  });
}

function isReady({ resource }: CachePod): boolean {
  return (
    resource === undefined ||
    itemsAt(resource, 'status', 'conditions').some(({ type, status }) => type === 'Ready' && status === 'True')
  );
}

function namesOf(caches: readonly CacheRef[]): string {
  return caches.map(({ name }) => name).join(', ');
}
