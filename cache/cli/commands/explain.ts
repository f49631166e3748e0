/** `kubectl orca explain`: where each chunk of an object is, and what a read of it would do now. */
import { openSemaphore } from '#shared/semaphore.ts';
import { KubeError } from '#shared/kube/error.ts';
import type { CachePod, Cluster } from '#cache/cli/cluster/cluster.ts';
import type { Command, CommandContext } from '#cache/cli/frame/command.ts';
import { UsageError } from '#cache/cli/frame/errors.ts';
import { CACHE_FLAG, OUTPUT_FLAG } from '#cache/cli/frame/global-flags.ts';
import { printResult } from '#cache/cli/output/print.ts';
import { formatFields, formatTable, printable } from '#cache/cli/output/table.ts';
import { formatBytes, formatDate, formatDuration } from '#cache/cli/output/units.ts';
import { countAt, flagAt, itemsAt, numberAt, textAt, textsAt, type Fields } from '#cache/cli/replies/fields.ts';
import { getObjects } from '#cache/cli/replies/objects.ts';
import { peerNames, peerText, type NameOfPeer } from '#cache/cli/replies/peer-names.ts';
import { cacheOfBucket, parseS3Name, somePod } from './select.ts';

/** Concurrent requests, each to another pod. */
const AT_ONCE = 16;
/** A page of a pod has 256 chunks. */
const DEFAULT_LIMIT = 256;

export const explain: Command = {
  name: 'explain',
  summary: 'Show the chunks of an object: where each one is, and what a read would do',
  description: `Show the chunks of an object: the replica that coordinates each one (POD/WORKER if its pods have several workers), whether
the cachestore has it, which replicas have it in memory, and what a read would do now.

 READ is the first source that has the chunk: memory (of some replicas: the others get it from there or from the
cachestore), fill (a fetch from the origin is in progress, and a read joins it), cachestore, or origin.

 It is read-only, but an object about which nothing is known costs one HEAD request at the origin, as a client's HEAD does.
It queries all pods of the cache.`,
  args: 's3://BUCKET/KEY',
  maxArgs: 1,
  examples: [
    { title: 'All chunks', command: 'kubectl orca explain s3://models/llama-3-70b/model-00001.safetensors' },
    {
      title: 'The chunks of a range, with their paths in the cachestore',
      command: 'kubectl orca explain s3://models/big.bin --range bytes=0-16777215 -o wide',
    },
  ],
  flags: [
    OUTPUT_FLAG,
    { name: 'range', description: 'Only the chunks of this range, as in an HTTP request: bytes=0-1023.' },
    { name: 'limit', default: String(DEFAULT_LIMIT), description: 'The maximum number of chunks; 0 = no limit.' },
    CACHE_FLAG,
  ],
  async run(context) {
    const { io } = context;
    const explained = await explainObject(context);
    for (const problem of explained.problems) io.err(`Warning: ${printable(problem)}\n`);
    printResult(context, { kind: 'ObjectExplanation', data: explained, text: (isWide) => textOf(explained, isWide) });
    return 0;
  },
};

async function explainObject(context: CommandContext) {
  const { args, flags, signal } = context;
  const { bucket, key } = parseS3Name(args[0]);
  if (key === '') throw new UsageError('a key is missing: s3://BUCKET/KEY. kubectl orca ls lists a bucket');
  const limit = limitOf(flags.text('limit') ?? '');
  const cluster = await context.connect();
  const cache = await cacheOfBucket(context, cluster, bucket);
  const pod = await somePod(cluster, cache, signal);
  const query = { bucket, key, range: rangeOf(flags.text('range')) };
  const pages: Fields[] = [];
  const shown: Fields[] = [];
  for (let skip: number | undefined = 0; skip !== undefined && shown.length < limit;) {
    const page: Fields = await getObjects(cluster, pod, { ...query, skip }, signal);
    pages.push(page);
    shown.push(...itemsAt(page, 'chunks'));
    const next: number | undefined = numberAt(page, 'next');
    skip = next !== undefined && next > skip ? next : undefined;
  }
  const [first = {}] = pages;
  const pods = await cluster.pods(cache, signal);
  const others = pods.filter(({ isRunning, name }) => isRunning && name !== pod.name);
  const problems = new Set(pages.flatMap((page) => textsAt(page, 'problems')));
  const views = [
    { name: pod.name, self: textAt(first, 'self'), epoch: textAt(first, 'epoch'), chunks: shown },
    ...(await viewsOf(cluster, others, query, Math.min(limit, shown.length), problems, signal)),
  ];
  if (new Set(views.map(({ epoch }) => epoch)).size > 1)
    problems.add('the replicas have different lists of each other: kubectl orca doctor');
  const nameOf = peerNames(pods, new Map(views.map(({ self, name }) => [self, name])));
  const chunks = shown.slice(0, limit).map((chunk) => chunkOf(chunk, views, nameOf));
  return {
    bucket,
    key,
    cache: cache.name,
    origin: {
      bucket: textAt(first, 'origin', 'bucket'),
      key: textAt(first, 'origin', 'key'),
      id: textAt(first, 'origin', 'id'),
    },
    sizeBytes: countAt(first, 'sizeBytes'),
    etag: textAt(first, 'etag'),
    metadata: {
      wasKnown: flagAt(first, 'metadata', 'known'),
      ageMs: countAt(first, 'metadata', 'ageMs'),
      isStale: flagAt(first, 'metadata', 'stale'),
    },
    chunkSizeBytes: countAt(first, 'chunkSizeBytes'),
    chunkCount: countAt(first, 'chunkCount'),
    storedBytes: numberAt(first, 'storedBytes') ?? null,
    askedPods: views.map(({ name }) => name),
    problems: [...problems],
    chunks,
  };
}

interface View {
  readonly name: string;
  readonly self: string;
  readonly epoch: string;
  readonly chunks: readonly Fields[];
}

/** What the other replicas have in memory; the cachestore is the same for all. */
async function viewsOf(
  cluster: Cluster,
  pods: readonly CachePod[],
  query: { readonly bucket: string; readonly key: string; readonly range: string | undefined },
  count: number,
  problems: Set<string>,
  signal: AbortSignal,
): Promise<readonly View[]> {
  const withPermit = openSemaphore(AT_ONCE);
  const viewOf = async (pod: CachePod): Promise<View | undefined> => {
    const chunks: Fields[] = [];
    try {
      let page: Fields;
      do {
        page = await getObjects(cluster, pod, { ...query, skip: chunks.length, stored: false }, signal);
        chunks.push(...itemsAt(page, 'chunks'));
      } while (numberAt(page, 'next') !== undefined && chunks.length < count && itemsAt(page, 'chunks').length > 0);
      return { name: pod.name, self: textAt(page, 'self'), epoch: textAt(page, 'epoch'), chunks };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof KubeError || error instanceof Error)) throw error;
      problems.add(`pod ${pod.name} did not answer, so its memory is not shown: ${error.message}`);
      return undefined;
    }
  };
  const views = await Promise.all(pods.map((pod) => withPermit(signal, () => viewOf(pod))));
  return views.filter((view) => view !== undefined);
}

function chunkOf(chunk: Fields, views: readonly View[], nameOf: NameOfPeer) {
  const index = countAt(chunk, 'index');
  const has = (field: string): string[] =>
    views
      .filter(({ chunks }) =>
        chunks.some((own) => countAt(own, 'index') === index && own['path'] === chunk['path'] && flagAt(own, field)),
      )
      .map(({ name }) => name);
  const [inMemory, filling] = [has('inMemory'), has('filling')];
  const stored = typeof chunk['stored'] === 'boolean' ? chunk['stored'] : null;
  const address = textAt(chunk, 'coordinator');
  const coordinator = nameOf(address) ?? { pod: address, worker: null };
  return {
    index,
    from: countAt(chunk, 'from'),
    to: countAt(chunk, 'to'),
    path: textAt(chunk, 'path'),
    coordinator: coordinator.pod,
    /** Null = the pod has one process. */
    worker: coordinator.worker,
    stored,
    storedAt: numberAt(chunk, 'storedAtMs') === undefined ? null : formatDate(countAt(chunk, 'storedAtMs')),
    inMemory,
    filling,
    read:
      inMemory.length > 0
        ? 'memory'
        : filling.length > 0
          ? 'fill'
          : stored === null
            ? 'unknown'
            : stored
              ? 'cachestore'
              : 'origin',
  };
}

type Explained = Awaited<ReturnType<typeof explainObject>>;

function textOf(explained: Explained, isWide: boolean): string {
  const { bucket, key, origin, metadata, chunks, chunkCount, chunkSizeBytes, sizeBytes, storedBytes } = explained;
  const age = `${formatDuration(metadata.ageMs)} old${metadata.isStale ? ', the origin does not answer' : ''}`;
  const fields = formatFields([
    ['Object', `s3://${bucket}/${key}`],
    ['Origin', `${origin.bucket}/${origin.key}`],
    ['Size', `${formatBytes(sizeBytes)} (${sizeBytes} bytes), in chunks of ${formatBytes(chunkSizeBytes)}`],
    ['ETag', explained.etag],
    ['Metadata', metadata.wasKnown ? age : `was not known; ${age}`],
    ['Stored', storedBytes === null ? 'not known' : `${formatBytes(storedBytes)} of ${formatBytes(sizeBytes)}`],
  ]);
  if (chunks.length === 0) return `${fields}\nThe object has no chunks: it is empty.\n`;
  const rows = chunks.map((chunk) => [
    String(chunk.index),
    formatBytes(chunk.to - chunk.from),
    peerText({ pod: chunk.coordinator, worker: chunk.worker }),
    chunk.stored === null ? '-' : chunk.stored ? 'Yes' : 'No',
    podsText(chunk.inMemory, isWide),
    chunk.read,
    ...(isWide ? [chunk.storedAt ?? '-', chunk.path] : []),
  ]);
  const headings = [
    'CHUNK',
    'SIZE',
    'COORDINATOR',
    'STORED',
    'IN MEMORY OF',
    'READ',
    ...(isWide ? ['STORED AT', 'PATH'] : []),
  ];
  const more =
    chunks.length < chunkCount ? `\n${chunkCount - chunks.length} more chunks: use --limit or --range.\n` : '';
  return `${fields}\n${formatTable(headings, rows)}${more}`;
}

function podsText(names: readonly string[], isWide: boolean): string {
  const [first] = names;
  if (first === undefined) return '-';
  return isWide || names.length === 1 ? names.join(',') : `${names.length} pods`;
}

function rangeOf(text: string | undefined): string | undefined {
  if (text === undefined || /^bytes=(\d+-\d*|-\d+)$/.test(text)) return text;
  throw new UsageError(`--range '${text}' is not a range such as bytes=0-1023`);
}

function limitOf(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--limit '${text}' is not a number`);
  return Number(text) === 0 ? Number.POSITIVE_INFINITY : Number(text);
}
