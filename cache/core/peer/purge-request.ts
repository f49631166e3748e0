/** `POST /purge?bucket&key` on the ops listener as text, both ways. Names are the clients', as they would ask for it. */
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

/** `query` is what stands behind the `?`. Throws `bad_request`. */
export function parsePurgeQuery(query: string): PurgeRequest {
  const fields = parseQuery(query, ['bucket', 'key']);
  return { bucket: text(fields, 'bucket', MAX_BUCKET_BYTES), key: text(fields, 'key', MAX_KEY_BYTES) };
}
