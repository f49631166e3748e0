/**
 * Formats and parses `GET /internal/fill`: the query names the chunk and range, the headers contain the terms. Requests
 * that no valid configuration can send are rejected here, before memory is allocated for them.
 */
import { chunkAt, type Chunk } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange, ObjectVersion } from '#cache/core/object.ts';
import {
  formatQuery,
  INTEGER,
  integer,
  MAX_ETAG_BYTES,
  objectName,
  parseQuery,
  refused,
  text,
  versionField,
} from './query.ts';

export const FILL_PATH = '/internal/fill';
export const PEER_PROTOCOL = '1';
/** The minimum of `chunking.size`, because each chunk costs a request. */
export const MIN_CHUNK_SIZE_BYTES = 1024 * 1024;

export interface FillQuery {
  readonly chunk: Chunk;
  /** Relative to the start of the chunk; the whole chunk if the query has no range. */
  readonly range: ByteRange;
}

/**
 * Why a replica asks.
 * - `miss`: a normal miss; the requester has no knowledge of a stored chunk.
 * - `not_stored`: the peer answered "stored", but the cachestore returned 404.
 * - `corrupt`: the stored chunk failed verification at the asking replica.
 * - `store_unavailable`: the asking replica cannot read the cachestore.
 * - `join`: only bytes that the peer has or is fetching already (the peer is draining).
 * - `commit`: no bytes, but whether the peer has committed the chunk. A peer that does not know this reason sends the
 *   range, so that this is one byte.
 */
export type FillReason = 'miss' | 'not_stored' | 'corrupt' | 'store_unavailable' | 'join' | 'commit';
/** The values of X-Orca-Reason; without the header the reason is `miss`. */
const REASONS = [
  'not_stored',
  'corrupt',
  'store_unavailable',
  'join',
  'commit',
] as const satisfies readonly FillReason[];

/** The terms of a fill request, sent as headers. */
export interface FillTerms {
  /** 2 if the request is sent to the runner-up, otherwise 1. */
  readonly rank: 1 | 2;
  /** The requester's epoch. */
  readonly epoch: string;
  readonly demand: 'started' | 'new';
  readonly deadlineMs: number;
  readonly reason: FillReason;
  /** The client's read needs only a small part of the chunk; not set for the remainder of a longer read. */
  readonly sparse?: boolean;
}

const REQUIRED = ['origin_id', 'bucket', 'key', 'etag', 'chunk_size', 'index', 'object_size'] as const;

/** The longest deadline of any requester. */
const MAX_DEADLINE_MS = 10 * 60_000;
const EPOCH = /^[0-9a-f]{16}$/;
/** One token, known or not. */
const REASON = /^[a-z][a-z_]{0,31}$/;

/** The request target: path and query. */
export function formatFillTarget({ chunk, range }: FillQuery): string {
  const { object, chunkSizeBytes, index } = chunk;
  const fields: [string, string | number][] = [
    ['origin_id', object.originId],
    ['bucket', object.bucket],
    ['key', object.key],
    ['etag', object.etag],
    ['chunk_size', chunkSizeBytes],
    ['index', index],
    ['object_size', object.sizeBytes],
    ...versionField(object.versionId),
  ];
  if (range.from !== 0 || range.to !== chunk.lengthBytes) fields.push(['from', range.from], ['to', range.to]);
  return `${FILL_PATH}?${formatQuery(fields)}`;
}

/** `query` is the part after the `?`. Throws `bad_request`. */
export function parseFillQuery(query: string, limits: { readonly maxChunkSizeBytes: number }): FillQuery {
  const fields = parseQuery(query, REQUIRED, ['from', 'to', 'version_id']);
  const object: ObjectVersion = {
    ...objectName(fields),
    etag: text(fields, 'etag', MAX_ETAG_BYTES),
    sizeBytes: integer(fields, 'object_size'),
  };
  const chunkSizeBytes = integer(fields, 'chunk_size');
  if (chunkSizeBytes < MIN_CHUNK_SIZE_BYTES || chunkSizeBytes > limits.maxChunkSizeBytes)
    throw refused(
      `chunk_size must be from ${MIN_CHUNK_SIZE_BYTES} to ${limits.maxChunkSizeBytes}, not ${chunkSizeBytes}`,
    );
  const index = integer(fields, 'index');
  let chunk: Chunk;
  try {
    chunk = chunkAt(object, chunkSizeBytes, index);
  } catch (error) {
    throw refused('index must be within the object', error);
  }
  if (fields.has('from') !== fields.has('to')) throw refused('from and to must be given together');
  const range = fields.has('from')
    ? { from: integer(fields, 'from'), to: integer(fields, 'to') }
    : { from: 0, to: chunk.lengthBytes };
  if (range.from >= range.to || range.to > chunk.lengthBytes)
    throw refused('from and to must be a range within the chunk');
  return { chunk, range };
}

/** The headers of every request between replicas. */
export const PEER_TERMS: Readonly<Record<string, string>> = {
  'x-orca-internal': '1',
  'x-orca-protocol': PEER_PROTOCOL,
};

/** Lower-case names. `auth.ts` adds date, nonce and MAC. */
export function formatFillTerms(terms: FillTerms): Record<string, string> {
  return {
    ...PEER_TERMS,
    'x-orca-rank': String(terms.rank),
    'x-orca-epoch': terms.epoch,
    'x-orca-deadline-ms': String(Math.floor(terms.deadlineMs)),
    'x-orca-class': terms.demand,
    ...(terms.reason === 'miss' ? {} : { 'x-orca-reason': terms.reason }),
    ...(terms.sparse === true ? { 'x-orca-sparse': '1' } : {}),
  };
}

/** Throws `bad_request`, or `not_coordinator` for another protocol version. */
export function checkPeerTerms(headers: Readonly<Record<string, string | readonly string[] | undefined>>): void {
  if (headers['x-orca-internal'] !== '1') throw refused('X-Orca-Internal is missing');
  if (headers['x-orca-protocol'] !== PEER_PROTOCOL)
    throw new OrcaError('not_coordinator', `X-Orca-Protocol must be ${PEER_PROTOCOL}`);
}

/** Throws the errors of `checkPeerTerms`. */
export function parseFillTerms(headers: Readonly<Record<string, string | readonly string[] | undefined>>): FillTerms {
  checkPeerTerms(headers);
  const rank = headers['x-orca-rank'];
  const demand = headers['x-orca-class'];
  const reason = headers['x-orca-reason'];
  const epoch = headers['x-orca-epoch'];
  const deadline = headers['x-orca-deadline-ms'];
  const sparse = headers['x-orca-sparse'];
  if (rank !== '1' && rank !== '2') throw refused('X-Orca-Rank is malformed');
  if (demand !== 'started' && demand !== 'new') throw refused('X-Orca-Class is malformed');
  if (reason !== undefined && !(typeof reason === 'string' && REASON.test(reason)))
    throw refused('X-Orca-Reason is malformed');
  if (typeof epoch !== 'string' || !EPOCH.test(epoch)) throw refused('X-Orca-Epoch is malformed');
  const deadlineMs = typeof deadline === 'string' && INTEGER.test(deadline) ? Number(deadline) : Number.NaN;
  if (!(deadlineMs > 0 && deadlineMs <= MAX_DEADLINE_MS)) throw refused('X-Orca-Deadline-Ms is malformed');
  if (sparse !== undefined && sparse !== '1') throw refused('X-Orca-Sparse is malformed');
  return {
    rank: rank === '1' ? 1 : 2,
    epoch,
    demand,
    deadlineMs,
    // In a rolling update a newer replica may send a reason that this version does not know: serve it as a plain miss.
    reason: REASONS.find((known) => known === reason) ?? 'miss',
    ...(sparse !== undefined && { sparse: true }),
  };
}
