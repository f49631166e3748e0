/** ListBuckets, ListObjects and ListObjectsV2, HeadBucket and GetBucketLocation. */
import { OrcaError } from '#cache/core/errors.ts';
import { decodeToken, encodeToken } from '#cache/core/s3/continuation-token.ts';
import { mayAccessBucket } from '#cache/core/s3/key-ring.ts';
import { bucketsDocument, listDocument, locationDocument } from '#cache/core/s3/list-document.ts';
import { parseListRequest } from '#cache/core/s3/list-request.ts';
import { compareKeys } from '#cache/core/s3/listing.ts';
import type { BucketTable } from '#cache/engine/buckets/bucket-rule.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { ListAnswer } from '#cache/engine/metadata/listings.ts';
import { abortOnClose } from '#cache/http/listener/http-listener.ts';
import { requireBucketAccess, requireReadAccess, sendXml, type EdgeCall, type EdgeResult } from './call.ts';

export interface ServedBuckets {
  readonly engine: Pick<Engine, 'list' | 'listBuckets' | 'listVersions' | 'requireBucket'>;
  readonly region: string;
  readonly names: BucketTable;
  /** Reported as the creation date, which the origin does not provide: when this replica began to serve. */
  readonly createdMs: number;
}

/** S3's limit. */
const MAX_BUCKETS = 10_000;
const NO_KEYS: ListAnswer = { page: { items: [], truncated: false }, ageMs: 0, stale: false };

export async function listBuckets(
  { engine, names, region, createdMs }: ServedBuckets,
  call: EdgeCall,
): Promise<EdgeResult> {
  const { caller, target, request, response } = call;
  if (!caller.signed) throw new OrcaError('forbidden', 'Access Denied');
  const { query } = target;
  const prefix = query.get('prefix') ?? '';
  const token = query.get('continuation-token');
  const binding = { bucket: '', prefix, delimiter: '' };
  const after = token === undefined ? '' : decodeToken(binding, token);
  const maxBuckets = maxBucketsOf(query.get('max-buckets'));
  const wantedRegion = query.get('bucket-region');
  // An incomplete list would be a false answer: without the permission to list buckets the request fails.
  const underPatterns = names.patterns().length === 0 ? [] : await engine.listBuckets(abortOnClose(request, response));
  const all = [...new Set([...names.names(), ...underPatterns])]
    .filter((name) => mayAccessBucket(caller, name) && name.startsWith(prefix) && compareKeys(name, after) > 0)
    .filter(() => wantedRegion === undefined || wantedRegion === region)
    .toSorted(compareKeys);
  const shown = all.slice(0, maxBuckets);
  const last = shown.at(-1);
  const nextToken = all.length > shown.length && last !== undefined ? encodeToken(binding, last) : undefined;
  const entries = shown.map((name) => ({ name, createdMs }));
  return sendXml(call, 200, bucketsDocument(entries, { prefix, region, nextToken }));
}

function maxBucketsOf(text: string | undefined): number {
  if (text === undefined) return MAX_BUCKETS;
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > MAX_BUCKETS)
    throw new OrcaError('invalid_argument', 'Argument maxBuckets must be an integer between 1 and 10000', {
      fields: { ArgumentName: 'max-buckets', ArgumentValue: text },
    });
  return count;
}

export async function listObjects({ engine, names }: ServedBuckets, call: EdgeCall): Promise<EdgeResult> {
  const { caller, target, request, response } = call;
  const attributes = request.headers['x-amz-optional-object-attributes'];
  // Before anything else: callers without access must learn nothing.
  requireReadAccess(caller, target.bucket, target.query.get('prefix') ?? '');
  const listRequest = parseListRequest(target.bucket, target.query, attributes?.toString());
  requireServed(names, target.bucket);
  const { prefix, delimiter, after, maxKeys } = listRequest;
  const signal = abortOnClose(request, response);
  // Mountpoint requests zero keys to check its access, which needs no list.
  if (maxKeys === 0) await engine.requireBucket(target.bucket, signal);
  const { page, ageMs, stale } =
    maxKeys === 0
      ? NO_KEYS
      : await engine.list(target.bucket, { prefix, delimiter, after, maxKeys }, signal, call.cacheControl);
  response.setHeader('Age', Math.floor(ageMs / 1000));
  if (!stale) return sendXml(call, 200, listDocument(listRequest, page));
  response.setHeader('X-Cache', 'STALE');
  return { ...sendXml(call, 200, listDocument(listRequest, page)), cache: 'STALE' };
}

export async function headBucket({ engine }: ServedBuckets, call: EdgeCall): Promise<EdgeResult> {
  const { caller, target, request, response } = call;
  requireBucketAccess(caller, target.bucket);
  await engine.requireBucket(target.bucket, abortOnClose(request, response));
  response.writeHead(200, { 'Content-Length': 0 }).end();
  return { status: 200, cache: 'NONE' };
}

export async function bucketLocation({ engine, region }: ServedBuckets, call: EdgeCall): Promise<EdgeResult> {
  requireBucketAccess(call.caller, call.target.bucket);
  await engine.requireBucket(call.target.bucket, abortOnClose(call.request, call.response));
  return sendXml(call, 200, locationDocument(region));
}

export function requireServed(names: BucketTable, bucket: string): void {
  if (!names.has(bucket)) throw new OrcaError('bucket_not_found', `bucket ${bucket} is not served by this cache`);
}
