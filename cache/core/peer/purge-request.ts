/** Formats and parses `POST /purge?bucket&key[&chunks=true]` of the ops listener. Bucket and key are the ones that clients use. */
import { formatQuery, MAX_BUCKET_BYTES, MAX_KEY_BYTES, parseQuery, refused, text } from './query.ts';

export const PURGE_PATH = '/purge';

export interface PurgeRequest {
  readonly bucket: string;
  readonly key: string;
  /** Also delete what the cachestore has of the object. */
  readonly chunks?: boolean;
}

/** The response to a request with `chunks`. */
export interface PurgeAnswer {
  readonly deletedChunks: number;
  readonly deletedBytes: number;
}

export function formatPurgeTarget({ bucket, key, chunks }: PurgeRequest): string {
  return `${PURGE_PATH}?${formatQuery([
    ['bucket', bucket],
    ['key', key],
    ...(chunks === true ? ([['chunks', 'true']] as const) : []),
  ])}`;
}

/** `query` is the part after the `?`. Throws `bad_request`. */
export function parsePurgeQuery(query: string): PurgeRequest {
  const fields = parseQuery(query, ['bucket', 'key'], ['chunks']);
  const chunks = fields.get('chunks');
  if (chunks !== undefined && chunks !== 'true') throw refused('chunks must be true');
  return {
    bucket: text(fields, 'bucket', MAX_BUCKET_BYTES),
    key: text(fields, 'key', MAX_KEY_BYTES),
    ...(chunks !== undefined && { chunks: true }),
  };
}
