/**
 * `GET /internal/fill` as text, both ways: the query names the chunk and its bytes, the headers say on what terms. What
 * no valid configuration could send is refused here, before anything is allocated for it.
 */
import { chunkAt, type Chunk } from './chunk.ts';
import { OrcaError } from './errors.ts';
import type { ByteRange, ObjectVersion } from './object.ts';

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
 * Why a replica asks. `first`: it has a miss. `absent`: we said "stored", and the cachestore told it 404. `bad`: what is
 * stored failed its check there. `relay`: it can't read the cachestore. `join`: only for what is here already (we drain).
 */
export type FillWhy = 'first' | 'absent' | 'bad' | 'relay' | 'join';
const WHY_HEADERS = ['absent', 'bad', 'relay', 'join'] as const satisfies readonly FillWhy[];

/** On what terms one replica asks another. */
export interface FillTerms {
  readonly rank: 1 | 2;
  /** The asker's view. */
  readonly epoch: string;
  readonly demand: 'started' | 'new';
  readonly deadlineMs: number;
  readonly why: FillWhy;
}

type Name = 'origin_id' | 'bucket' | 'key' | 'etag' | 'chunk_size' | 'index' | 'object_size' | 'from' | 'to';
const REQUIRED: readonly Name[] = ['origin_id', 'bucket', 'key', 'etag', 'chunk_size', 'index', 'object_size'];
const NAMES = new Set<string>([...REQUIRED, 'from', 'to']);

const ORIGIN_ID = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
/** Digits as a number prints them: one spelling a value. */
const INTEGER = /^(?:0|[1-9]\d{0,15})$/;
/** S3 allows 1024 bytes of key, to which a configured prefix of the same length may be added. */
const MAX_KEY_BYTES = 2048;
/** Bucket and container names have at most 63 characters; old S3 ones 255. */
const MAX_BUCKET_BYTES = 255;
/** ETags are some 40 characters; header lines end somewhere. */
const MAX_ETAG_BYTES = 1024;
/** The longest deadline that an asker has. */
const MAX_DEADLINE_MS = 10 * 60_000;
const EPOCH = /^[0-9a-f]{16}$/;

/** Path and query. */
export function formatFillTarget({ chunk, range }: FillQuery): string {
  const { object, chunkSizeBytes, index } = chunk;
  const fields: [Name, string | number][] = [
    ['origin_id', object.originId],
    ['bucket', object.bucket],
    ['key', object.key],
    ['etag', object.etag],
    ['chunk_size', chunkSizeBytes],
    ['index', index],
    ['object_size', object.sizeBytes],
  ];
  if (range.from !== 0 || range.to !== chunk.lengthBytes) fields.push(['from', range.from], ['to', range.to]);
  return `${FILL_PATH}?${fields.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')}`;
}

/** `query` is what stands behind the `?`. Throws `bad_request`. */
export function parseFillQuery(query: string, limits: { readonly maxChunkSizeBytes: number }): FillQuery {
  const fields = parseFields(query);
  const object: ObjectVersion = {
    originId: text(fields, 'origin_id', 63),
    bucket: text(fields, 'bucket', MAX_BUCKET_BYTES),
    key: text(fields, 'key', MAX_KEY_BYTES),
    etag: text(fields, 'etag', MAX_ETAG_BYTES),
    sizeBytes: integer(fields, 'object_size'),
  };
  if (!ORIGIN_ID.test(object.originId)) throw refused('origin_id is malformed');
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

/** Lower-case names. Date, nonce and MAC are `peer-auth.ts`'s. */
export function formatFillTerms(terms: FillTerms): Record<string, string> {
  return {
    'x-orca-internal': '1',
    'x-orca-protocol': PEER_PROTOCOL,
    'x-orca-rank': String(terms.rank),
    'x-orca-epoch': terms.epoch,
    'x-orca-deadline-ms': String(Math.floor(terms.deadlineMs)),
    'x-orca-class': terms.demand,
    ...(terms.why === 'first' ? {} : { [`x-orca-${terms.why}`]: '1' }),
  };
}

/** Throws `bad_request`, or `not_coordinator` for a protocol that this replica does not speak. */
export function parseFillTerms(headers: Readonly<Record<string, string | readonly string[] | undefined>>): FillTerms {
  if (headers['x-orca-internal'] !== '1') throw refused('X-Orca-Internal is missing');
  if (headers['x-orca-protocol'] !== PEER_PROTOCOL)
    throw new OrcaError('not_coordinator', `the asker does not speak protocol ${PEER_PROTOCOL}`);
  const rank = headers['x-orca-rank'];
  const demand = headers['x-orca-class'];
  const whys = WHY_HEADERS.filter((name) => headers[`x-orca-${name}`] !== undefined);
  const epoch = headers['x-orca-epoch'];
  const deadline = headers['x-orca-deadline-ms'];
  if (rank !== '1' && rank !== '2') throw refused('X-Orca-Rank is malformed');
  if (demand !== 'started' && demand !== 'new') throw refused('X-Orca-Class is malformed');
  const [why = 'first'] = whys;
  if (whys.length > 1 || (why !== 'first' && headers[`x-orca-${why}`] !== '1'))
    throw refused(`X-Orca-${whys.join(', X-Orca-')} is malformed`);
  if (typeof epoch !== 'string' || !EPOCH.test(epoch)) throw refused('X-Orca-Epoch is malformed');
  const deadlineMs = typeof deadline === 'string' && INTEGER.test(deadline) ? Number(deadline) : Number.NaN;
  if (!(deadlineMs > 0 && deadlineMs <= MAX_DEADLINE_MS)) throw refused('X-Orca-Deadline-Ms is malformed');
  return { rank: rank === '1' ? 1 : 2, epoch, demand, deadlineMs, why };
}

function parseFields(query: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const part of query.split('&')) {
    const equals = part.indexOf('=');
    const name = equals === -1 ? part : part.slice(0, equals);
    if (!NAMES.has(name)) throw refused('an unknown parameter');
    if (fields.has(name)) throw refused(`${name} stands there twice`);
    fields.set(name, equals === -1 ? '' : decode(part.slice(equals + 1), name));
  }
  for (const name of REQUIRED) if (!fields.has(name)) throw refused(`${name} is missing`);
  return fields;
}

function decode(value: string, name: string): string {
  try {
    return decodeURIComponent(value);
  } catch (error) {
    throw refused(`${name} is not percent-encoded UTF-8`, error);
  }
}

function text(fields: ReadonlyMap<string, string>, name: Name, maxBytes: number): string {
  const value = fields.get(name) ?? '';
  if (value === '') throw refused(`${name} is empty`);
  if (Buffer.byteLength(value, 'utf8') > maxBytes) throw refused(`${name} is longer than ${maxBytes} bytes`);
  return value;
}

function integer(fields: ReadonlyMap<string, string>, name: Name): number {
  const value = fields.get(name) ?? '';
  const number = Number(value);
  if (!INTEGER.test(value) || !Number.isSafeInteger(number)) throw refused(`${name} is no plain number`);
  return number;
}

/** Values of a refused request are not repeated: nobody has vouched for them. */
function refused(message: string, cause?: unknown): OrcaError {
  return new OrcaError('bad_request', `the fill request is refused: ${message}`, cause === undefined ? {} : { cause });
}
