/** `kubectl orca du`: how much is stored, by bucket or below a prefix. */
import type { Command, CommandContext } from '#cache/cli/frame/command.ts';
import { CliError } from '#cache/cli/frame/errors.ts';
import { CACHE_FLAG, OUTPUT_FLAG } from '#cache/cli/frame/global-flags.ts';
import { findCache } from '#cache/cli/cluster/kube-cluster.ts';
import { printResult } from '#cache/cli/output/print.ts';
import { formatTable, printable } from '#cache/cli/output/table.ts';
import { formatBytes, formatPercent } from '#cache/cli/output/units.ts';
import { gather } from '#cache/cli/replies/gather.ts';
import { listObjects } from '#cache/cli/replies/objects.ts';
import { storeUseOf } from '#cache/cli/replies/totals.ts';
import { cacheOfBucket, parseS3Name, somePod } from './select.ts';

export const du: Command = {
  name: 'du',
  summary: 'Show how many bytes are stored, by bucket or below a prefix',
  description: `Show how many bytes the cachestore has: by bucket, as the replicas have counted them, or below a prefix, by looking.

 Without an argument, the figures are those of the last sweeps (/store of the pods), which include old versions; they cost
nothing; buckets have the names of the origin. With a prefix, every object that the origin lists below it is looked up, at one list request to the cachestore
each; only current versions count then.`,
  args: '[s3://BUCKET[/PREFIX]]',
  maxArgs: 1,
  examples: [
    { title: 'By bucket', command: 'kubectl orca du --cache models' },
    { title: 'How much of a model is cached', command: 'kubectl orca du s3://models/llama-3-70b/' },
  ],
  flags: [OUTPUT_FLAG, CACHE_FLAG],
  run: (context) => (context.args.length === 0 ? byBucket(context) : belowPrefix(context)),
};

async function byBucket(context: CommandContext): Promise<number> {
  const { flags, signal, clock } = context;
  const cluster = await context.connect();
  const name = flags.text('cache');
  const caches = name === undefined ? await cluster.caches(false, signal) : [await findCache(cluster, name, signal)];
  const [cache] = caches;
  if (cache === undefined) throw new CliError(`no caches found in namespace ${cluster.namespace}`);
  if (caches.length > 1)
    throw new CliError(`choose a cache with --cache: ${caches.map((each) => each.name).join(', ')}`);
  const { pods } = await gather({ cluster, clock, signal }, cache);
  const use = storeUseOf(pods);
  if (use === undefined)
    throw new CliError(
      `no pod of ${cache.name} reports what is stored: kubectl orca doctor ${cache.name} shows why. ` +
        'A prefix, such as s3://BUCKET/, is looked up without these reports',
    );
  if (use.state === 'counting')
    context.io.err('The replicas have not counted everything yet: the figures are too small.\n');
  printResult(context, {
    kind: 'DiskUsage',
    data: { cache: cache.name, namespace: cache.namespace, ...use, capacityBytes: use.capacityBytes ?? null },
    text: () =>
      formatTable(
        ['BYTES', 'SHARE', 'BUCKET'],
        [
          ...use.byBucket.map(({ bucket, bytes }) => [formatBytes(bytes), formatPercent(bytes, use.usedBytes), bucket]),
          [
            formatBytes(use.usedBytes),
            '',
            use.capacityBytes === undefined ? 'total' : `total, of ${formatBytes(use.capacityBytes)}`,
          ],
        ],
      ),
  });
  return 0;
}

async function belowPrefix(context: CommandContext): Promise<number> {
  const { args, io, signal } = context;
  const { bucket, key: prefix } = parseS3Name(args[0]);
  const cluster = await context.connect();
  const pod = await somePod(cluster, await cacheOfBucket(context, cluster, bucket), signal);
  const sums = {
    objects: 0,
    sizeBytes: 0,
    cachedObjects: 0,
    completeObjects: 0,
    storedBytes: 0,
    storedChunks: 0,
    unknownObjects: 0,
  };
  const problems = new Set<string>();
  for await (const page of listObjects(cluster, pod, { bucket, prefix, delimiter: '', stored: true }, signal)) {
    for (const { sizeBytes, storedBytes, storedChunks = 0 } of page.objects) {
      sums.objects += 1;
      sums.sizeBytes += sizeBytes;
      sums.storedBytes += storedBytes ?? 0;
      sums.storedChunks += storedChunks;
      if (storedBytes === undefined) sums.unknownObjects += 1;
      else if (storedBytes > 0 && storedBytes >= sizeBytes) sums.completeObjects += 1;
      if ((storedBytes ?? 0) > 0) sums.cachedObjects += 1;
    }
    for (const problem of page.problems) problems.add(problem);
    if (io.showsProgress) io.err(`\r${sums.objects} objects, ${formatBytes(sums.storedBytes)} stored`);
  }
  if (io.showsProgress) io.err('\r\u001b[K');
  for (const problem of problems) io.err(`Warning: ${printable(problem)}\n`);
  printResult(context, {
    kind: 'DiskUsage',
    data: { bucket, prefix, ...sums },
    text: () =>
      formatTable(
        ['STORED', 'SIZE', 'CACHED', 'OBJECTS', 'WHOLE', 'CHUNKS', 'PREFIX'],
        [
          [
            formatBytes(sums.storedBytes),
            formatBytes(sums.sizeBytes),
            formatPercent(sums.storedBytes, sums.sizeBytes),
            String(sums.objects),
            String(sums.completeObjects),
            String(sums.storedChunks),
            `s3://${bucket}/${prefix}`,
          ],
        ],
      ),
  });
  return 0;
}
