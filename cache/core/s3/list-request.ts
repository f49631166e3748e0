/** Parses the query of `GET /bucket` into a ListObjectsV2 or ListObjects request. */
import { OrcaError } from '#cache/core/errors.ts';
import { decodeToken } from './continuation-token.ts';
import type { ListQuery } from './listing.ts';

/** S3's default and maximum. */
export const MAX_KEYS = 1000;

interface Common extends Omit<ListQuery, 'maxKeys'> {
  readonly bucket: string;
  /** 0 to 1000. */
  readonly maxKeys: number;
  /** Whether names in the response are percent-encoded. */
  readonly encodeNames: boolean;
}

export interface ListRequestV2 extends Common {
  readonly version: 2;
  readonly fetchOwner: boolean;
  readonly withRestore: boolean;
  /** `start-after` and `continuation-token` as sent; the response repeats them. */
  readonly startAfter: string | undefined;
  readonly token: string | undefined;
}

export interface ListRequestV1 extends Common {
  readonly version: 1;
}

export type ListRequest = ListRequestV2 | ListRequestV1;

/** `attributes` is the header `x-amz-optional-object-attributes`. Throws `invalid_argument`. */
export function parseListRequest(
  bucket: string,
  query: ReadonlyMap<string, string>,
  attributes: string | undefined,
): ListRequest {
  const version = query.get('list-type');
  if (version !== undefined && version !== '2') throw invalid('list-type', version, 'list-type must be 2');
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const common = { bucket, prefix, delimiter, maxKeys: pageSizeOf(query), encodeNames: namesEncoding(query) };
  const startAfter = query.get('start-after');
  const token = query.get('continuation-token');
  if (version === undefined) {
    for (const [name, value] of [
      ['start-after', startAfter],
      ['continuation-token', token],
    ] as const)
      if (value !== undefined)
        throw invalid(name, value, `${name} is only supported in REST.GET.BUCKET with list-type=2`);
    return { ...common, version: 1, after: query.get('marker') ?? '' };
  }
  return {
    ...common,
    version: 2,
    // A token replaces `start-after`: it contains the position that the list has reached.
    after: token === undefined || token === '' ? (startAfter ?? '') : decodeToken({ bucket, prefix, delimiter }, token),
    fetchOwner: query.get('fetch-owner') === 'true',
    withRestore: (attributes ?? '').split(',').some((name) => name.trim() === 'RestoreStatus'),
    startAfter,
    token,
  };
}

/** Whether names in the response are to be percent-encoded. */
export function namesEncoding(query: ReadonlyMap<string, string>): boolean {
  const encoding = query.get('encoding-type') ?? '';
  if (encoding !== '' && encoding !== 'url')
    throw invalid('encoding-type', encoding, 'Invalid Encoding Method specified in Request');
  return encoding === 'url';
}

/** `max-keys`, at most S3's maximum. */
export function pageSizeOf(query: ReadonlyMap<string, string>): number {
  const text = query.get('max-keys') ?? '';
  if (text === '') return MAX_KEYS;
  if (!/^\d+$/.test(text)) throw invalid('max-keys', text, 'Provided max-keys not an integer or within integer range');
  return Math.min(Number(text), MAX_KEYS);
}

function invalid(name: string, value: string, message: string): OrcaError {
  return new OrcaError('invalid_argument', message, { fields: { ArgumentName: name, ArgumentValue: value } });
}
