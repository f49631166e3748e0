/**
 * Warming: brings objects into the cachestore that no client has requested yet. It runs in the background, below every
 * client: see `admission.ts` for memory, and the origin limiter for requests.
 */
import { chunkAt, chunkSizeFor, sliceCount, type Chunk } from '#cache/core/chunk.ts';
import { hasCode, type ErrorCode, type OrcaError } from '#cache/core/errors.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import type { ObjectVersion } from '#cache/core/object.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import { pathPrefixOf } from '#cache/engine/metadata/path-prefix.ts';
import type { Clock, Observer, PeerAddress, PeerClient, PeerView, WarmResult } from '#cache/engine/ports.ts';
import { admit, type ReadContext } from '#cache/engine/read.ts';
import { lookInStore } from './look-in-store.ts';
import { serveWarm, warmHere, type WarmCall, type WarmContext, type WarmReply } from './serve-warm.ts';

/** Replicas see a change of the cluster within a second or two of each other. */
const MAX_ROUNDS = 5;
const ROUND_MS = 1_000;
/** Between the look at a chunk and its turn. */
const MAX_CORRUPT = 1_000;
/** After these errors of the origin the known head cannot be true any more. */
const OUTDATED: readonly ErrorCode[] = ['object_changed', 'not_found'];

export interface Warm {
  /**
   * The object's current version and its chunks, by the client's names. Through the key's coordinator, which keeps the
   * head and its manifest. Rejects as a read does: not_found, access_denied, bucket_not_found, …
   */
  resolve(name: { readonly bucket: string; readonly key: string }, signal: AbortSignal): Promise<WarmObject>;
  /**
   * Whether the cachestore has the chunk: one request, because the catalog may list what has been evicted since. Then it
   * counts as read now. Rejects with store_unavailable.
   */
  isStored(chunk: Chunk, signal: AbortSignal): Promise<boolean>;
  /**
   * Resolves when the chunk is committed, with the bytes that were read from the origin for it: 0 if it was stored, or is
   * the work of another fill. Rejects with the origin's codes, store_unavailable (not committed), overloaded (now is no
   * time for it), cancelled.
   */
  chunk(
    chunk: Chunk,
    options: { readonly knownAbsent: boolean; readonly requestId: string; readonly signal: AbortSignal },
  ): Promise<WarmResult>;
}

export interface WarmObject {
  readonly object: ObjectVersion;
  readonly chunkSizeBytes: number;
  /** The number of its chunks. */
  readonly count: number;
  chunkAt(index: number): Chunk;
}

export interface WarmOptions extends WarmContext, Omit<ReadContext, 'capacity' | 'store'> {
  readonly peers: PeerView;
  readonly peerClient: PeerClient;
  readonly clock: Clock;
  readonly observer: Observer;
  /** The error of every call, while another origin is registered under this one's id. */
  readonly refusal: () => OrcaError | undefined;
}

export interface WarmCalls extends Warm {
  /** A call of another replica. */
  serve(call: WarmCall): Promise<WarmReply>;
}

export function openWarm(options: WarmOptions): WarmCalls {
  const served = <T>(call: () => Promise<T>): Promise<T> => {
    const refusal = options.refusal();
    return refusal === undefined ? call() : Promise.reject(refusal);
  };
  const corrupt = new LruTable<true>({ maxEntries: MAX_CORRUPT });
  return {
    resolve: (name, signal) => served(() => resolve(options, name, signal)),
    isStored: (chunk, signal) =>
      served(async () => {
        const found = await lookInStore(options, chunk, signal);
        if (found === 'stored') options.capacity.touch(chunk.path, chunk.object.bucket);
        else options.catalog.forget(chunk.path);
        if (found === 'corrupt') corrupt.set(chunk.path, true);
        return found === 'stored';
      }),
    chunk: (chunk, call) =>
      served(() => {
        // The replica that fills it has to find that out itself, in order to overwrite it.
        const knownAbsent = call.knownAbsent && corrupt.get(chunk.path) !== true;
        return warmChunk(options, { ...call, chunk, knownAbsent, rank: 1 });
      }),
    serve: (call) => served(() => serveWarm(options, call)),
  };
}

async function resolve(
  options: WarmOptions,
  name: { readonly bucket: string; readonly key: string },
  signal: AbortSignal,
): Promise<WarmObject> {
  const { object: known, ttlMs } = admit(options, name);
  const { head } = await options.metadata.resolve(known, { ttlMs }, signal);
  const object = { ...known, etag: head.etag, sizeBytes: head.sizeBytes };
  const { chunking } = options;
  const chunkSizeBytes = chunkSizeFor(head.sizeBytes, chunking.sizeBytes, chunking.tiers);
  const prefix = pathPrefixOf(head, object, chunkSizeBytes);
  return {
    object,
    chunkSizeBytes,
    count: sliceCount({ from: 0, to: head.sizeBytes }, chunkSizeBytes),
    chunkAt: (index) => chunkAt(object, chunkSizeBytes, index, prefix),
  };
}

async function warmChunk(options: WarmOptions, call: WarmCall): Promise<WarmResult> {
  const { chunk } = call;
  try {
    return await atCoordinator(options, call);
  } catch (error) {
    if (hasCode(error, ...OUTDATED)) options.metadata.invalidate(chunk.object, chunk.object.etag);
    throw error;
  }
}

/** At the coordinator, otherwise at the runner-up, otherwise here: as a read of the chunk. */
async function atCoordinator(options: WarmOptions, call: WarmCall): Promise<WarmResult> {
  const { peers, clock } = options;
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    const { owners, self, epoch } = peers.current();
    let isRefused = false;
    for (const [index, peer] of rankPeers(call.chunk.path, owners, 2).entries()) {
      if (peer === self) break;
      const answer = await ask(options, peer, { ...call, rank: index === 0 ? 1 : 2 }, epoch);
      if (typeof answer === 'object') return answer;
      isRefused = answer === 'refused';
      if (isRefused) break;
    }
    if (!isRefused) break;
    // The views differ. No client waits: they will agree soon, and until then two replicas would fill the same chunk.
    await clock.sleep(ROUND_MS, call.signal);
  }
  return { originBytes: await warmHere(options, call) };
}

async function ask(
  { peerClient, observer }: WarmOptions,
  peer: PeerAddress,
  { chunk, rank, knownAbsent, requestId, signal }: WarmCall,
  epoch: string,
): Promise<WarmResult | 'refused' | 'failed'> {
  const source = rank === 1 ? 'coordinator' : 'runner_up';
  try {
    return await peerClient.warm(peer, { chunk, rank, epoch, knownAbsent }, { signal, requestId });
  } catch (error) {
    if (!hasCode(error, 'not_coordinator', 'peer_unavailable')) throw error;
    observer.fallThrough(source, error.details ?? error.code);
    return error.code === 'not_coordinator' ? 'refused' : 'failed';
  }
}
