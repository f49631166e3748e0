/** `GET /objects?bucket&key`: the chunks of one object, who coordinates each, and where its bytes are. */
import { chunkAt, chunkPathPrefix, sliceAt, sliceCount } from '#cache/core/chunk.ts';
import { hasCode, type OrcaError } from '#cache/core/errors.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { PeerView } from '#cache/engine/ports.ts';
import type { ReadResult } from '#cache/engine/read.ts';
import { storedVersion, type StoredVersion } from '#cache/engine/stored-version.ts';

/** Chunks of one answer: about 60 KB. */
export const MAX_CHUNKS = 256;

export interface ChunksQuery {
  readonly bucket: string;
  readonly key: string;
  /** As in an HTTP request; undefined = the whole object. */
  readonly range: string | undefined;
  /** The first chunk of this answer, counted from the first one of the range. */
  readonly skip: number;
  /** Whether to query the cachestore; memory and coordinators cost no request. */
  readonly stored: boolean;
}

export interface ChunksOptions {
  readonly engine: Pick<Engine, 'read' | 'store' | 'memoryTier' | 'flights' | 'catalog'>;
  readonly peers: Pick<PeerView, 'current'>;
  readonly originId: string;
}

/** Rejects with the codes of a client's HEAD. */
export async function describeChunks(options: ChunksOptions, query: ChunksQuery, signal: AbortSignal) {
  const { engine, peers, originId } = options;
  const { result, known } = await headOf(engine, query, signal);
  const { object, range, chunkSizeBytes } = result;
  const prefix = chunkPathPrefix(object, chunkSizeBytes);
  const stored = query.stored ? await storedOrProblem(engine, prefix, originId, signal) : undefined;
  const { owners, self, epoch } = peers.current();
  const count = sliceCount(range, chunkSizeBytes);
  const shown = Math.max(0, Math.min(MAX_CHUNKS, count - query.skip));
  const chunks = Array.from({ length: shown }, (_, number) => {
    const { index } = sliceAt(range, chunkSizeBytes, query.skip + number);
    const chunk = chunkAt(object, chunkSizeBytes, index, prefix);
    const inStore = stored?.version?.chunks.get(index);
    return {
      index,
      from: chunk.range.from,
      to: chunk.range.to,
      path: chunk.path,
      coordinator: rankPeers(chunk.path, owners, 1)[0] ?? self,
      // Null = the cachestore was not queried, or did not answer. A file has the chunk's metadata after its bytes.
      stored: stored?.version === undefined ? null : inStore !== undefined && inStore.sizeBytes >= chunk.lengthBytes,
      ...(inStore !== undefined && { storedBytes: inStore.sizeBytes, storedAtMs: inStore.modifiedMs }),
      inMemory: engine.memoryTier.has(chunk.path),
      filling: engine.flights.get(chunk.path) !== undefined,
    };
  });
  const next = query.skip + shown;
  return {
    bucket: query.bucket,
    key: query.key,
    origin: { id: originId, bucket: object.bucket, key: object.key },
    sizeBytes: object.sizeBytes,
    etag: object.etag,
    metadata: { known, ageMs: Math.round(result.ageMs), stale: result.stale },
    range: { from: range.from, to: range.to },
    chunkSizeBytes,
    chunkCount: count,
    self,
    epoch,
    ...(stored?.version !== undefined && { storedBytes: stored.version.bytes }),
    problems: stored?.problem === undefined ? [] : [stored.problem.message],
    chunks,
    ...(next < count && { next }),
  };
}

/** Queries the origin only if nothing recent enough is known; then `known` is false. */
async function headOf(
  engine: Pick<Engine, 'read'>,
  { bucket, key, range }: ChunksQuery,
  signal: AbortSignal,
): Promise<{ readonly result: ReadResult; readonly known: boolean }> {
  const request = { bucket, key, range, conditions: {}, headOnly: true, requestId: 'ops', signal };
  try {
    return { result: await engine.read({ ...request, onlyIfCached: true }), known: true };
  } catch (error) {
    if (!hasCode(error, 'not_cached')) throw error;
    return { result: await engine.read(request), known: false };
  }
}

async function storedOrProblem(
  engine: Pick<Engine, 'store'>,
  prefix: string,
  originId: string,
  signal: AbortSignal,
): Promise<{ readonly version?: StoredVersion; readonly problem?: OrcaError }> {
  try {
    return { version: await storedVersion(engine, prefix, originId, signal) };
  } catch (error) {
    if (!hasCode(error, 'store_unavailable')) throw error;
    return { problem: error };
  }
}
