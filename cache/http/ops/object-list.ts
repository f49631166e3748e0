/** `GET /objects?bucket&prefix`: a page of the origin's list, with how much of each object the cachestore has. */
import { chunkPathPrefix, chunkSizeFor, sliceCount, type ChunkTier } from '#cache/core/chunk.ts';
import { hasCode } from '#cache/core/errors.ts';
import { nameOf, type ObjectEntry } from '#cache/core/s3/listing.ts';
import { ruleOf, underRule, type BucketTable } from '#cache/engine/buckets/bucket-rule.ts';
import type { Engine } from '#cache/engine/engine.ts';
import { storedVersion } from '#cache/engine/stored-version.ts';
import type { PinsOptions } from './pins.ts';
import { openSemaphore } from '#shared/semaphore.ts';

/** Each object is a request to the cachestore: a page takes a second or two. */
export const MAX_LISTED = 100;
/** Clients and commits use the cachestore at the same time. */
const AT_ONCE = 8;

export interface ObjectsQuery {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
  /** Names after this one. */
  readonly after: string;
  readonly limit: number;
  readonly stored: boolean;
  /** Whether to look up pins and last reads. */
  readonly use: boolean;
}

export interface ObjectListOptions {
  readonly engine: Pick<Engine, 'list' | 'store' | 'capacity'>;
  readonly originId: string;
  readonly buckets: BucketTable;
  readonly chunking: { readonly sizeBytes: number; readonly tiers: readonly ChunkTier[] };
  readonly pinOwner: PinsOptions['pinOwner'];
}

/** Rejects with the codes of a client's list. */
export async function listObjects(options: ObjectListOptions, query: ObjectsQuery, signal: AbortSignal) {
  const { engine } = options;
  const { bucket, prefix, delimiter, after } = query;
  const maxKeys = Math.min(MAX_LISTED, query.limit);
  const { page, ageMs, stale } = await engine.list(bucket, { prefix, delimiter, after, maxKeys }, signal);
  const problems = new Set<string>();
  const withPermit = openSemaphore(AT_ONCE);
  const items = await Promise.all(
    page.items.map(async (item) =>
      item.kind === 'prefix'
        ? { prefix: item.prefix }
        : withPermit(signal, () => describe(options, query, item.entry, problems, signal)),
    ),
  );
  const shown = query.use ? await withUse(options, items, problems, signal) : items;
  const last = page.items.at(-1);
  return {
    bucket,
    prefix,
    ageMs: Math.round(ageMs),
    stale,
    problems: [...problems],
    items: shown,
    ...(page.truncated && last !== undefined && { next: nameOf(last) }),
  };
}

async function describe(
  options: ObjectListOptions,
  query: ObjectsQuery,
  entry: ObjectEntry,
  problems: Set<string>,
  signal: AbortSignal,
) {
  const { originId, chunking } = options;
  const { key, sizeBytes, etag, lastModifiedMs, storageClass } = entry;
  const rule = ruleOf(options, query.bucket);
  const name = { originId, bucket: rule.originBucket, key: underRule(rule, key), etag };
  const chunkSizeBytes = chunkSizeFor(sizeBytes, chunking.sizeBytes, chunking.tiers);
  const chunkCount = sliceCount({ from: 0, to: sizeBytes }, chunkSizeBytes);
  const prefix = chunkPathPrefix(name, chunkSizeBytes);
  const version = prefix.slice(originId.length + 1, -1);
  const facts = { key, sizeBytes, etag, lastModifiedMs, storageClass, chunkCount, version };
  if (!query.stored) return facts;
  try {
    const { bytes, chunks } = await storedVersion(options.engine, prefix, originId, signal);
    return { ...facts, storedBytes: bytes, storedChunks: chunks.size };
  } catch (error) {
    if (!hasCode(error, 'store_unavailable')) throw error;
    problems.add(error.message);
    return facts;
  }
}

type Item = { readonly prefix: string } | Awaited<ReturnType<typeof describe>>;

/** Adds pins, by the names of their prewarms, and the last read. */
async function withUse(
  { engine, pinOwner }: ObjectListOptions,
  items: readonly Item[],
  problems: Set<string>,
  signal: AbortSignal,
) {
  const objects = items.filter((item) => 'version' in item);
  const versions = objects.map(({ version, chunkCount }) => ({ versionHex: version, chunkCount }));
  const found = await engine.capacity.versionUse.of(versions, signal);
  for (const problem of found.problems) problems.add(problem);
  return items.map((item) => {
    const use = 'version' in item ? found.uses.get(item.version) : undefined;
    if (use === undefined) return item;
    const pins = [...new Set(use.pins.map((pin) => pinOwner(pin)?.prewarm ?? pin))];
    return { ...item, pins, ...(use.lastReadMs !== undefined && { lastReadMs: use.lastReadMs }) };
  });
}
