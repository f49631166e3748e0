/** `kubectl orca ls`: the origin's list, with how much of each object is stored. */
import type { Command, CommandContext } from '#cache/cli/frame/command.ts';
import { UsageError } from '#cache/cli/frame/errors.ts';
import { CACHE_FLAG, OUTPUT_FLAG } from '#cache/cli/frame/global-flags.ts';
import { printResult } from '#cache/cli/output/print.ts';
import { formatTable, printable } from '#cache/cli/output/table.ts';
import { formatBytes, formatDate, formatDuration, formatPercent } from '#cache/cli/output/units.ts';
import { listObjects, type ListedObject } from '#cache/cli/replies/objects.ts';
import { withRecentReads } from '#cache/cli/replies/reads.ts';
import { cacheOfBucket, parseS3Name, somePod } from './select.ts';

/** A screen or two; `--limit 0` is everything. */
const DEFAULT_LIMIT = 1_000;
const MINUTE_MS = 60_000;

export const ls: Command = {
  name: 'ls',
  summary: 'List objects of the origin, and how much of each is cached',
  description: `List objects of the origin through a pod of the cache, with how much of each one the cachestore has.

 Only the version that the origin lists now counts: chunks of an older version are not used any more. Each object costs one
list request to the cachestore; --origin-only leaves that out. PINNED names the prewarm whose pin keeps the object. LAST
READ is exact to a minute, and appears a minute after the read; a prewarm that finds an object stored counts as one. Without --recursive, keys below the next '/' are shown as
one line.`,
  args: 's3://BUCKET[/PREFIX]',
  maxArgs: 1,
  examples: [
    { title: 'Objects and folders at the top of a bucket', command: 'kubectl orca ls s3://models' },
    {
      title: 'Everything below a prefix of which something is cached',
      command: 'kubectl orca ls s3://models/llama-3-70b/ --recursive --cached',
    },
    { title: 'With ETags and storage classes', command: 'kubectl orca ls s3://models/llama-3-70b/ -o wide' },
  ],
  flags: [
    OUTPUT_FLAG,
    {
      name: 'recursive',
      short: 'r',
      isSwitch: true,
      description: 'List all keys below the prefix, not only up to the next slash.',
    },
    {
      name: 'cached',
      isSwitch: true,
      description: 'Show only objects of which something is stored. Implies --recursive.',
    },
    { name: 'origin-only', isSwitch: true, description: 'Do not query the cachestore.' },
    { name: 'limit', default: String(DEFAULT_LIMIT), description: 'The maximum number of lines; 0 = no limit.' },
    CACHE_FLAG,
  ],
  async run(context) {
    const { args, flags, io } = context;
    const { bucket, key: prefix } = parseS3Name(args[0]);
    const isCachedOnly = flags.has('cached');
    if (isCachedOnly && flags.has('origin-only'))
      throw new UsageError('--cached needs the cachestore: leave out --origin-only');
    const listed = await collect(context, {
      bucket,
      prefix,
      delimiter: flags.has('recursive') || isCachedOnly ? '' : '/',
      stored: !flags.has('origin-only'),
      isCachedOnly,
      limit: limitOf(context),
    });
    for (const problem of listed.problems) io.err(`Warning: ${printable(problem)}\n`);
    printResult(context, {
      kind: 'ObjectList',
      data: {
        bucket,
        prefix,
        isTruncated: listed.isTruncated,
        prefixes: listed.prefixes,
        items: listed.objects.map(jsonOf),
      },
      text: (isWide) => tableOf(listed, isWide, context.clock.date()),
    });
    if (listed.isTruncated) io.err(`More than --limit=${limitOf(context)} lines: not all are shown.\n`);
    return 0;
  },
};

interface ListRun {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
  readonly stored: boolean;
  readonly isCachedOnly: boolean;
  readonly limit: number;
}

interface Listed {
  readonly objects: readonly ListedObject[];
  readonly prefixes: readonly string[];
  readonly problems: readonly string[];
  readonly isTruncated: boolean;
}

async function collect(context: CommandContext, run: ListRun): Promise<Listed> {
  const { io, signal } = context;
  const cluster = await context.connect();
  const cache = await cacheOfBucket(context, cluster, run.bucket);
  const pod = await somePod(cluster, cache, signal);
  const others = (await cluster.pods(cache, signal)).filter(({ isRunning, name }) => isRunning && name !== pod.name);
  const objects: ListedObject[] = [];
  const prefixes: string[] = [];
  const problems = new Set<string>();
  let seen = 0;
  for await (const page of listObjects(cluster, pod, { ...run, use: run.stored }, signal)) {
    seen += page.objects.length;
    for (const problem of page.problems) problems.add(problem);
    const wanted = page.objects.filter(({ storedBytes = 0 }) => !run.isCachedOnly || storedBytes > 0);
    objects.push(...(run.stored ? await withRecentReads(cluster, others, wanted, signal) : wanted));
    prefixes.push(...page.prefixes);
    if (io.showsProgress) io.err(`\r${seen} objects listed`);
    if (objects.length + prefixes.length > run.limit) break;
  }
  if (io.showsProgress) io.err('\r\u001b[K');
  const kept = objects.slice(0, run.limit);
  const keptPrefixes = prefixes.slice(0, Math.max(0, run.limit - kept.length));
  const isTruncated = kept.length < objects.length || keptPrefixes.length < prefixes.length;
  return { objects: kept, prefixes: keptPrefixes, problems: [...problems], isTruncated };
}

function limitOf({ flags }: CommandContext): number {
  const text = flags.text('limit') ?? '';
  const limit = Number(text);
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--limit '${text}' is not a number`);
  return limit === 0 ? Number.POSITIVE_INFINITY : limit;
}

function jsonOf({ storedBytes, storedChunks, version, pins, lastReadMs, ...object }: ListedObject) {
  return {
    ...object,
    storedBytes: storedBytes ?? null,
    storedChunks: storedChunks ?? null,
    version: version === '' ? null : version,
    pinnedBy: pins ?? null,
    lastReadMs: lastReadMs ?? null,
  };
}

function tableOf({ objects, prefixes }: Listed, isWide: boolean, nowMs: number): string {
  if (objects.length + prefixes.length === 0) return 'No objects found.\n';
  const rows = [
    ...prefixes.map((prefix) => ({ name: prefix, cells: ['-', '-', '-', '-', '-', '-'], more: ['-', '-'] })),
    ...objects.map((object) => ({
      name: object.key,
      cells: [
        formatBytes(object.sizeBytes),
        object.storedBytes === undefined ? '-' : formatBytes(object.storedBytes),
        object.storedBytes === undefined ? '-' : shareOf(object),
        pinsText(object.pins, isWide),
        object.lastReadMs === undefined ? '-' : agoText(nowMs - object.lastReadMs),
        formatDate(object.lastModifiedMs),
      ],
      more: [`${object.storedChunks ?? '-'}/${object.chunkCount}`, object.etag],
    })),
  ];
  const headings = [
    'SIZE',
    'STORED',
    'CACHED',
    'PINNED',
    'LAST READ',
    'MODIFIED',
    ...(isWide ? ['CHUNKS', 'ETAG'] : []),
    'KEY',
  ];
  return formatTable(
    headings,
    rows.map(({ name, cells, more }) => [...cells, ...(isWide ? more : []), name]),
  );
}

/** The name of a pin; how many there are, if there are several. */
function pinsText(pins: readonly string[] = [], isWide: boolean): string {
  if (pins.length === 0) return '-';
  return isWide || pins.length === 1 ? pins.join(',') : `${pins.length} pins`;
}

/** Reads are recorded by the minute. */
function agoText(ms: number): string {
  return ms < 2 * MINUTE_MS ? 'now' : `${formatDuration(ms)} ago`;
}

/** An empty object has no chunks: it needs none. */
function shareOf({ sizeBytes, storedBytes = 0 }: ListedObject): string {
  return sizeBytes === 0 ? '100 %' : formatPercent(storedBytes, sizeBytes);
}
