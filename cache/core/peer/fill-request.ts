/**
 * `GET /internal/fill` as text, both ways: the query names the chunk and its bytes, the headers say on what terms. What
 * no valid configuration could send is refused here, before anything is allocated for it.
 */
import { chunkAt, type Chunk } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange, ObjectVersion } from '#cache/core/object.ts';
import { formatQuery, INTEGER, integer, MAX_ETAG_BYTES, objectName, parseQuery, refused, text } from './query.ts';

export const FILL_PATH = '/internal/fill';
export const PEER_PROTOCOL = '1';
/** Smaller chunks can't be configured: each costs a request. */
export const MIN_CHUNK_SIZE_BYTES = 1024 * 1024;

export interface FillQuery {
  readonly chunk: Chunk;
  /** Counts from the chunk's start; the whole chunk where the query names none. */
  readonly range: ByteRange;
}

/**
 * Why a replica asks.
 * - `miss`: the chunk is not known to be stored anywhere.
 * - `not_stored`: the peer answered "stored", but the cachestore returned 404.
 * - `corrupt`: the stored chunk failed verification at the asking replica.
 * - `store_unavailable`: the asking replica cannot read the cachestore.
 * - `join`: only bytes that the peer has or is fetching already (the peer is draining).
 */
export type FillReason = 'miss' | 'not_stored' | 'corrupt' | 'store_unavailable' | 'join';
/** The values of X-Orca-Reason; without the header the reason is `miss`. */
const REASONS = ['not_stored', 'corrupt', 'store_unavailable', 'join'] as const satisfies readonly FillReason[];

/** On what terms one replica asks another. */
export interface FillTerms {
  readonly rank: 1 | 2;
  /** The asker's view. */
  readonly epoch: string;
  readonly demand: 'started' | 'new';
  readonly deadlineMs: number;
  readonly reason: FillReason;
  /** All that is asked of the chunk is little of it; the rest of a longer read is not, however short. */
  readonly sparse?: boolean;
}

const REQUIRED = ['origin_id', 'bucket', 'key', 'etag', 'chunk_size', 'index', 'object_size'] as const;

/** The longest deadline that an asker has. */
const MAX_DEADLINE_MS = 10 * 60_000;
const EPOCH = /^[0-9a-f]{16}$/;

/** Path and query. */
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
  ];
  if (range.from !== 0 || range.to !== chunk.lengthBytes) fields.push(['from', range.from], ['to', range.to]);
  return `${FILL_PATH}?${formatQuery(fields)}`;
}

/** `query` is what stands behind the `?`. Throws `bad_request`. */
export function parseFillQuery(query: string, limits: { readonly maxChunkSizeBytes: number }): FillQuery {
  const fields = parseQuery(query, REQUIRED, ['from', 'to']);
  const object: ObjectVersion = {
    ...objectName(fields),
    etag: text(fields, 'etag', MAX_ETAG_BYTES),
    sizeBytes: integer(fields, 'object_size'),
  };
  const chunkSizeBytes = integer(fields, 'chunk_size');
  if (chunkSizeBytes < MIN_CHUNK_SIZE_BYTES || chunkSizeBytes > limits.maxChunkSizeBytes)
    throw refused(`chunk_size ${chunkSizeBytes} is not within ${MIN_CHUNK_SIZE_BYTES} and ${limits.maxChunkSizeBytes}`);
  const index = integer(fields, 'index');
  let chunk: Chunk;
  try {
    chunk = chunkAt(object, chunkSizeBytes, index);
  } catch (error) {
    throw refused('index is outside the object', error);
  }
  if (fields.has('from') !== fields.has('to')) throw refused('from and to stand together');
  const range = fields.has('from')
    ? { from: integer(fields, 'from'), to: integer(fields, 'to') }
    : { from: 0, to: chunk.lengthBytes };
  if (range.from >= range.to || range.to > chunk.lengthBytes) throw refused('the range is outside the chunk');
  return { chunk, range };
}

/** What every call between replicas says. */
export const PEER_TERMS: Readonly<Record<string, string>> = {
  'x-orca-internal': '1',
  'x-orca-protocol': PEER_PROTOCOL,
};

/** Lower-case names. Date, nonce and MAC are `peer-auth.ts`'s. */
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

/** Throws `bad_request`, or `not_coordinator` for a protocol that this replica does not speak. */
export function checkPeerTerms(headers: Readonly<Record<string, string | readonly string[] | undefined>>): void {
  if (headers['x-orca-internal'] !== '1') throw refused('X-Orca-Internal is missing');
  if (headers['x-orca-protocol'] !== PEER_PROTOCOL)
    throw new OrcaError('not_coordinator', `the asker does not speak protocol ${PEER_PROTOCOL}`);
}

/** Throws as `checkPeerTerms` does. */
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
  if (reason !== undefined && !isReason(reason)) throw refused('X-Orca-Reason is malformed');
  if (typeof epoch !== 'string' || !EPOCH.test(epoch)) throw refused('X-Orca-Epoch is malformed');
  const deadlineMs = typeof deadline === 'string' && INTEGER.test(deadline) ? Number(deadline) : Number.NaN;
  if (!(deadlineMs > 0 && deadlineMs <= MAX_DEADLINE_MS)) throw refused('X-Orca-Deadline-Ms is malformed');
  if (sparse !== undefined && sparse !== '1') throw refused('X-Orca-Sparse is malformed');
  return {
    rank: rank === '1' ? 1 : 2,
    epoch,
    demand,
    deadlineMs,
    reason: reason ?? 'miss',
    ...(sparse !== undefined && { sparse: true }),
  };
}

function isReason(text: string | readonly string[]): text is (typeof REASONS)[number] {
  return REASONS.some((reason) => reason === text);
}
