/** What the cachestore has of one object version: one list by the version's name, instead of a query for each chunk. */
import { parseChunkName } from '#cache/core/capacity/chunk-key.ts';
import type { ChunkStore } from './ports.ts';

export interface StoredChunk {
  readonly sizeBytes: number;
  /** By the store's clock. */
  readonly modifiedMs: number;
}

export interface StoredVersion {
  readonly bytes: number;
  /** By index. */
  readonly chunks: ReadonlyMap<number, StoredChunk>;
}

/** A page has 1,000 names: 80,000 chunks of 8 MiB are 640 GiB. */
const MAX_PAGES = 80;
/** For one page of a list. */
const FIRST_BYTE_TIMEOUT_MS = 10_000;

/** `prefix`: `<originId>/<64 hex digits>/`, as `chunkPathPrefix` returns it. Rejects with store_unavailable. */
export async function storedVersion(
  { store }: { readonly store: Pick<ChunkStore, 'list'> },
  prefix: string,
  originId: string,
  signal: AbortSignal,
): Promise<StoredVersion> {
  const version = prefix.slice(0, -1);
  const versionHex = version.slice(originId.length + 1);
  const chunks = new Map<number, StoredChunk>();
  let bytes = 0;
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const listed = await store.list(version, cursor, { signal, firstByteTimeoutMs: FIRST_BYTE_TIMEOUT_MS });
    for (const { name, sizeBytes, modifiedMs } of listed.entries) {
      const chunk = parseChunkName(name, originId);
      if (chunk === undefined || chunk.versionHex !== versionHex || chunks.has(chunk.index)) continue;
      chunks.set(chunk.index, { sizeBytes, modifiedMs });
      bytes += sizeBytes;
    }
    cursor = listed.cursor;
    if (cursor === undefined) break;
  }
  return { bytes, chunks };
}
