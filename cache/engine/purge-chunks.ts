/**
 * A purge with chunks: deletes what the cachestore has of an object, in the version that is known and in the one that the
 * origin has now. A read at the same time may store chunks again.
 */
import { chunkPathPrefix, chunkSizeFor, type ChunkPath, type ChunkTier } from '#cache/core/chunk.ts';
import { hasCode } from '#cache/core/errors.ts';
import type { ObjectHead } from '#cache/core/object.ts';
import type { ObjectName } from '#cache/core/peer/head-request.ts';
import type { Metadata } from './metadata/metadata.ts';
import { MAX_STORE_NAMES, type ChunkStore } from './ports.ts';
import { storedVersion } from './stored-version.ts';
import type { Catalog } from './upstream/catalog.ts';

export interface PurgeChunksContext {
  readonly metadata: Pick<Metadata, 'stored' | 'resolveAgain' | 'purge'>;
  readonly store: Pick<ChunkStore, 'list' | 'remove'>;
  readonly catalog: Pick<Catalog, 'forget'>;
  readonly chunking: { readonly sizeBytes: number; readonly tiers: readonly ChunkTier[] };
}

export interface PurgedChunks {
  readonly chunks: number;
  readonly bytes: number;
}

/** Rejects with store_unavailable if something could not be deleted, and with the origin's code if nothing is known. */
export async function purgeChunks(
  context: PurgeChunksContext,
  object: ObjectName,
  signal: AbortSignal,
): Promise<PurgedChunks> {
  // The purge makes them unknown.
  const heads = await knownHeads(context, object, signal);
  context.metadata.purge(object);
  const { sizeBytes, tiers } = context.chunking;
  const prefixes = heads.map((head) =>
    chunkPathPrefix({ ...object, etag: head.etag }, chunkSizeFor(head.sizeBytes, sizeBytes, tiers)),
  );
  const sum = { chunks: 0, bytes: 0 };
  for (const prefix of new Set(prefixes)) {
    const { chunks, bytes } = await removeVersion(context, prefix, object.originId, signal);
    sum.chunks += chunks;
    sum.bytes += bytes;
  }
  return sum;
}

async function knownHeads(
  { metadata }: PurgeChunksContext,
  object: ObjectName,
  signal: AbortSignal,
): Promise<readonly ObjectHead[]> {
  const known = await orUndefined(
    () => metadata.stored(object, { ttlMs: Number.POSITIVE_INFINITY }, signal),
    'not_found',
  );
  try {
    const current = await orUndefined(() => metadata.resolveAgain(object, signal), 'not_found');
    return [known, current].flatMap((each) => (each === undefined ? [] : [each.head]));
  } catch (error) {
    // Without the origin, the last known version is deleted all the same.
    if (known === undefined || signal.aborted) throw error;
    return [known.head];
  }
}

async function orUndefined<T>(call: () => Promise<T>, code: 'not_found'): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (hasCode(error, code)) return undefined;
    throw error;
  }
}

async function removeVersion(
  { store, catalog }: PurgeChunksContext,
  prefix: string,
  originId: string,
  signal: AbortSignal,
): Promise<PurgedChunks> {
  const { chunks, bytes } = await storedVersion({ store }, prefix, originId, signal);
  const names = [...chunks.keys()].map((index) => `${prefix}${index}`);
  for (let from = 0; from < names.length; from += MAX_STORE_NAMES) {
    const batch = names.slice(from, from + MAX_STORE_NAMES);
    const { failed } = await store.remove(batch, { signal });
    for (const name of batch) catalog.forget(name as ChunkPath);
    if (failed[0] !== undefined) throw failed[0].error;
  }
  return { chunks: names.length, bytes };
}
