/** The head of a version that is requested by its ID, and so never gets other bytes. */
import type { ObjectHead } from '#cache/core/object.ts';
import type { ObjectName } from '#cache/core/peer/head-request.ts';
import type { Freshness, KnownHead, Metadata } from './metadata.ts';

/**
 * A version can be deleted, and its tags and its storage class can change: a HEAD a day notices that, and costs nothing.
 */
const TTL_MS = 24 * 3_600_000;
const ARCHIVES: ReadonlySet<string> = new Set(['GLACIER', 'DEEP_ARCHIVE']);

/** `ttlMs` is that of other objects in the bucket; `maxAgeMs` the client's limit. */
export async function resolveVersion(
  metadata: Metadata,
  object: ObjectName,
  { ttlMs, maxAgeMs }: Freshness,
  signal: AbortSignal,
): Promise<KnownHead> {
  const known = await metadata.resolve(object, { ttlMs: versionTtlMs(ttlMs), maxAgeMs }, signal);
  // Clients wait for the end of a restore from an archive.
  return isArchived(known.head) ? metadata.revalidate(object, known, ttlMs, signal) : known;
}

/** How long the head of a version is used. */
export function versionTtlMs(ttlMs: number): number {
  return Math.max(ttlMs, TTL_MS);
}

function isArchived({ headers }: ObjectHead): boolean {
  return headers['x-amz-restore'] !== undefined || ARCHIVES.has(headers['x-amz-storage-class'] ?? '');
}
