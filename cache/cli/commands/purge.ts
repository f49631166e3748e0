/** `kubectl orca purge`: makes the next read query the origin, and deletes chunks, by the purge command of a pod. */
import type { CachePod, Cluster } from '#cache/cli/cluster/cluster.ts';
import type { Command, CommandContext } from '#cache/cli/frame/command.ts';
import { CliError, UsageError } from '#cache/cli/frame/errors.ts';
import { CACHE_FLAG, OUTPUT_FLAG } from '#cache/cli/frame/global-flags.ts';
import { printResult } from '#cache/cli/output/print.ts';
import { printable } from '#cache/cli/output/table.ts';
import { formatBytes } from '#cache/cli/output/units.ts';
import { listObjects } from '#cache/cli/replies/objects.ts';
import { cacheOfBucket, parseS3Name, somePod } from './select.ts';

/** The command is a part of a URL, and proxies limit URLs to 8 KB or more. */
const MAX_KEYS = 100;
/** Each key takes a request to the origin, a list and a deletion or more: progress is shown after each batch. */
const MAX_KEYS_WITH_CHUNKS = 10;
/** The replica's limit for the chunks of one key is two minutes. */
const CHUNKS_MS = 130_000;
const MAX_KEYS_LENGTH = 6_000;
/** Node.js, of a program that does not know the option. */
const UNKNOWN_OPTION = "Unknown option '--chunks'";

export const purge: Command = {
  name: 'purge',
  summary: 'Make the next read of an object query the origin, or delete what is stored of it',
  description: `Forget what is known about an object, or about all objects below a prefix: the next read queries the origin for the version.
Chunks stay in the cachestore, and are used again if the version is still the same.

 With --chunks they are deleted, also pinned ones: those of the version that is known, and of the one that the origin has
now. Chunks of older versions stay until they are evicted. What replicas have in memory stays there, and is still right.

 It changes something, so it must be authorized: it runs the purge command in a pod of the cache, which has the key of the
cluster. That needs create (before Kubernetes 1.35: get) of pods/exec in the namespace of the cache, besides get and list
of orcacaches and pods.

 With --recursive, the keys are those that the origin lists now: an object that was deleted there is not among them. Purge
it by its key.`,
  args: 's3://BUCKET/KEY',
  maxArgs: 1,
  examples: [
    { title: 'One object, after it was overwritten', command: 'kubectl orca purge s3://models/config.json' },
    {
      title: 'Delete what is stored of a model',
      command: 'kubectl orca purge s3://models/llama-2/ --recursive --chunks',
    },
    {
      title: 'Show which objects would be purged',
      command: 'kubectl orca purge s3://models/llama-3-70b/ --recursive --dry-run',
    },
  ],
  flags: [
    OUTPUT_FLAG,
    { name: 'recursive', short: 'r', isSwitch: true, description: 'Purge all objects that begin with the name.' },
    { name: 'chunks', isSwitch: true, description: 'Also delete the chunks of the objects from the cachestore.' },
    { name: 'dry-run', isSwitch: true, description: 'Show the objects, and purge none.' },
    CACHE_FLAG,
  ],
  async run(context) {
    const { args, flags, io, signal } = context;
    const { bucket, key } = parseS3Name(args[0]);
    const isRecursive = flags.has('recursive');
    if (key === '' && !isRecursive)
      throw new UsageError('a key is missing: s3://BUCKET/KEY; --recursive purges the bucket');
    const cluster = await context.connect();
    const pod = await somePod(cluster, await cacheOfBucket(context, cluster, bucket), signal);
    const isDryRun = flags.has('dry-run');
    const withChunks = flags.has('chunks');
    const purged: string[] = [];
    const deleted = { chunks: 0, bytes: 0 };
    const isText = flags.text('output') === undefined || flags.text('output') === 'wide';
    const maxKeys = withChunks ? MAX_KEYS_WITH_CHUNKS : MAX_KEYS;
    for await (const keys of isRecursive ? batches(keysBelow(context, cluster, pod, bucket, key), maxKeys) : [[key]]) {
      if (!isDryRun) {
        const { chunks, bytes } = await purgeKeys(context, cluster, pod, bucket, keys);
        deleted.chunks += chunks;
        deleted.bytes += bytes;
      }
      purged.push(...keys);
      if (isText)
        for (const each of keys) io.out(`s3://${bucket}/${printable(each)} purged${isDryRun ? ' (dry run)' : ''}\n`);
    }
    if (!isText) {
      const data = { bucket, isDryRun, keys: purged, ...(withChunks && { deleted }) };
      printResult(context, { kind: 'PurgeResult', data, text: () => '' });
    } else if (purged.length === 0) io.out('No objects found.\n');
    else if (withChunks && !isDryRun) io.out(`${deleted.chunks} chunks deleted, ${formatBytes(deleted.bytes)}\n`);
    return 0;
  },
};

async function* keysBelow(
  { signal }: CommandContext,
  cluster: Cluster,
  pod: CachePod,
  bucket: string,
  prefix: string,
): AsyncGenerator<string, void, void> {
  for await (const { objects } of listObjects(cluster, pod, { bucket, prefix, delimiter: '', stored: false }, signal))
    for (const { key } of objects) yield key;
}

async function* batches(keys: AsyncIterable<string>, maxKeys: number): AsyncGenerator<readonly string[], void, void> {
  let batch: string[] = [];
  let length = 0;
  for await (const key of keys) {
    const keyLength = encodeURIComponent(key).length + 'command='.length;
    if (batch.length > 0 && (batch.length >= maxKeys || length + keyLength > MAX_KEYS_LENGTH)) {
      yield batch;
      [batch, length] = [[], 0];
    }
    batch.push(key);
    length += keyLength;
  }
  if (batch.length > 0) yield batch;
}

async function purgeKeys(
  context: CommandContext,
  cluster: Cluster,
  pod: CachePod,
  bucket: string,
  keys: readonly string[],
): Promise<{ readonly chunks: number; readonly bytes: number }> {
  const { signal, flags } = context;
  const withChunks = flags.has('chunks');
  // `--`: a key may begin with a dash.
  const command = ['node', 'cache/main.ts', 'purge', ...(withChunks ? ['--chunks'] : []), '--', bucket, ...keys];
  const atLeastMs = withChunks ? CHUNKS_MS * keys.length : 0;
  const { exitCode, stdout, stderr } = await cluster.run(pod, command, signal, atLeastMs);
  if (withChunks && exitCode !== 0 && stderr.includes(UNKNOWN_OPTION))
    throw new CliError(`pod ${pod.name} runs a release that cannot delete chunks: update the cache`);
  if (exitCode !== 0) {
    const reason = stderr.trim() || `the command in pod ${pod.name} exited with ${exitCode}`;
    throw new CliError(printable(reason));
  }
  const [, chunks, bytes] = /^deleted (\d+) chunks, (\d+) bytes$/m.exec(stdout) ?? [];
  const deleted = { chunks: Number(chunks ?? 0), bytes: Number(bytes ?? 0) };
  if (keys.length === 1 || stdout.includes(`purged ${keys.length}`)) return deleted;
  // An older release: one key for each call.
  for (const key of keys) await purgeKeys(context, cluster, pod, bucket, [key]);
  return deleted;
}
