/** Formats and parses `POST /purge?bucket&key` of the ops listener. Bucket and key are the ones that clients use. */
import { formatQuery, MAX_BUCKET_BYTES, MAX_KEY_BYTES, parseQuery, text } from './query.ts';

export const PURGE_PATH = '/purge';

export interface PurgeRequest {
  readonly bucket: string;
  readonly key: string;
}

export function formatPurgeTarget({ bucket, key }: PurgeRequest): string {
  return `${PURGE_PATH}?${formatQuery([
    ['bucket', bucket],
    ['key', key],
  ])}`;
}

/** `query` is the part after the `?`. Throws `bad_request`. */
export function parsePurgeQuery(query: string): PurgeRequest {
  const fields = parseQuery(query, ['bucket', 'key']);
  return { bucket: text(fields, 'bucket', MAX_BUCKET_BYTES), key: text(fields, 'key', MAX_KEY_BYTES) };
}
