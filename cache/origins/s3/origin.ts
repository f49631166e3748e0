/**
 * The Origin port over S3. Error responses become error codes; a response counts only if it is exactly what was
 * requested. Nothing is retried here.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange, ObjectHead, ObjectPart, ObjectVersion } from '#cache/core/object.ts';
import { encodeRfc3986 } from '#cache/core/percent.ts';
import { bodyChecksums } from '#cache/core/s3/checksums.ts';
import type { ListPage, ListQuery } from '#cache/core/s3/listing.ts';
import type { SubResource, SubResourceAnswer } from '#cache/core/s3/sub-resource.ts';
import { NULL_VERSION } from '#cache/core/s3/version-id.ts';
import type { VersionPage, VersionQuery } from '#cache/core/s3/version-list.ts';
import type { ByteSink, CallOptions, Origin } from '#cache/engine/ports.ts';
import { accept, retryWithCoding } from '#cache/origins/response/accept.ts';
import { objectHead, toOrcaError } from '#cache/origins/response/answers.ts';
import { openCodings } from '#cache/origins/response/codings.ts';
import { withLimits } from '#cache/origins/response/limits.ts';
import { representationHeaders } from '#cache/origins/response/representation.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import {
  contentRange,
  openS3Client,
  openS3Credentials,
  strongEtag,
  type S3Client,
  type S3ClientOptions,
  type S3Request,
} from '#cache/wire/s3/client.ts';
import { errorFor } from './errors.ts';
import { openS3List, type S3List } from './list.ts';
import { subResourceAnswer, subResourceRequest } from './sub-resource.ts';

/** How long a bucket that has answered counts as existing, so that a missing key costs no second request. */
const BUCKET_KNOWN_MS = 60_000;
const CUSTOMER_KEY = 'x-amz-server-side-encryption-customer-algorithm';
/** S3 reports an object's checksums only on request. */
const WITH_CHECKSUM = { 'x-amz-checksum-mode': 'ENABLED' };

export function openS3Origin(options: S3ClientOptions): Origin {
  return new S3Origin(options);
}

class S3Origin implements Origin {
  readonly #client: S3Client;
  readonly #lists: S3List;
  readonly #codings = openCodings();
  readonly #bucketSeenMs = new Map<string, number>();

  constructor(options: S3ClientOptions) {
    const credentials = openS3Credentials(options);
    this.#client = openS3Client(options, credentials);
    this.#lists = openS3List(options, credentials);
  }

  async head(bucket: string, key: string, call: CallOptions, versionId?: string): Promise<ObjectHead> {
    const name = nameOf(bucket, key);
    try {
      const query = versionQuery(versionId);
      const response = await this.#send({ method: 'HEAD', bucket, key, query, headers: WITH_CHECKSUM }, call);
      if (response.status === 200) return this.#headOf(bucket, key, response.headers, versionId);
      throw await this.#headError(bucket, key, response, call, versionId);
    } catch (error) {
      const known = toOrcaError(error, name);
      if (known.code === 'not_found') this.#bucketSeenMs.set(bucket, performance.now());
      throw known;
    }
  }

  async read(object: ObjectVersion, range: ByteRange, sink: ByteSink, call: CallOptions): Promise<void> {
    const { bucket, key, etag } = object;
    const query = versionQuery(object.versionId);
    const headers = { range: `bytes=${range.from}-${range.to - 1}`, 'if-match': `"${etag}"` };
    const onHead = (status: number, answer: ResponseHeaders): void => {
      if (status >= 200 && status < 300)
        accept({ status, headers: answer, etag: strongEtag(answer) }, object, range, this.#codings);
    };
    try {
      const response = await retryWithCoding(
        () => this.#send({ method: 'GET', bucket, key, query, headers, sink, onHead }, call),
        () => this.#learnCoding(object, call),
      );
      if (response.status >= 300) throw errorFor(response, nameOf(bucket, key));
    } catch (error) {
      throw toOrcaError(error, nameOf(bucket, key));
    }
  }

  async part(object: ObjectVersion, part: number, call: CallOptions): Promise<ObjectPart> {
    const { bucket, key, etag } = object;
    const name = nameOf(bucket, key);
    try {
      const query = [['partNumber', String(part)] as const, ...versionQuery(object.versionId)];
      const headers = { 'if-match': `"${etag}"`, ...WITH_CHECKSUM };
      const response = await this.#send({ method: 'HEAD', bucket, key, query, headers }, call);
      if (response.status === 416) throw new OrcaError('part_not_found', `${name} has no part ${part}`);
      if (response.status >= 300) throw errorFor(response, name);
      return partOf(response.headers, object, part);
    } catch (error) {
      throw toOrcaError(error, name);
    }
  }

  async checkOwner(bucket: string, key: string, owner: string, call: CallOptions): Promise<void> {
    const name = nameOf(bucket, key);
    try {
      const headers = { 'x-amz-expected-bucket-owner': owner };
      const response = await this.#send({ method: 'HEAD', bucket, key, headers }, call);
      // S3 checks the owner first: a 404 means that the owner is right.
      if (response.status < 300 || response.status === 404) return;
      if (response.status === 400) throw new OrcaError('invalid_argument', `the origin knows no account ${owner}`);
      // A HEAD has no body that would distinguish this from rejected credentials; those fail in other requests too.
      if (response.status === 403)
        throw new OrcaError('access_denied', `the origin denies access to ${name} as a bucket of ${owner}`);
      throw errorFor(response, name);
    } catch (error) {
      throw toOrcaError(error, name);
    }
  }

  async probe(bucket: string, prefix: string, call: CallOptions): Promise<'reachable' | 'list_denied'> {
    const key = `${prefix}_orca-probe`;
    try {
      const response = await this.#readFirstByte(bucket, key, call, undefined);
      if (response.status < 300 || response.status === 416) return 'reachable';
      const error = errorFor(response, nameOf(bucket, key));
      if (error.code === 'not_found') return 'reachable';
      if (error.code === 'access_denied') return 'list_denied';
      throw error;
    } catch (error) {
      throw toOrcaError(error, nameOf(bucket, key));
    }
  }

  list(bucket: string, query: ListQuery, call: CallOptions): Promise<ListPage> {
    return this.#lists.list(bucket, query, call);
  }

  listVersions(bucket: string, query: VersionQuery, call: CallOptions): Promise<VersionPage> {
    return this.#lists.listVersions(bucket, query, call);
  }

  async subResource(
    bucket: string,
    key: string,
    wanted: SubResource,
    call: CallOptions,
    versionId?: string,
  ): Promise<SubResourceAnswer> {
    const name = nameOf(bucket, key);
    try {
      const response = await this.#send(subResourceRequest(bucket, key, wanted, versionId), call);
      return subResourceAnswer(response, wanted, name);
    } catch (error) {
      throw toOrcaError(error, name);
    }
  }

  async close(): Promise<void> {
    this.#client.close();
    this.#lists.close();
  }

  #send(request: S3Request, call: CallOptions): Promise<RawResponse> {
    return this.#client.send(request, withLimits(call));
  }

  #readFirstByte(bucket: string, key: string, call: CallOptions, versionId: string | undefined): Promise<RawResponse> {
    const query = versionQuery(versionId);
    return this.#send({ method: 'GET', bucket, key, query, headers: { range: 'bytes=0-0' } }, call);
  }

  #headOf(bucket: string, key: string, headers: ResponseHeaders, versionId: string | undefined): ObjectHead {
    this.#bucketSeenMs.set(bucket, performance.now());
    // Some servers answer a HEAD without the key.
    if (CUSTOMER_KEY in headers)
      throw new OrcaError('object_encrypted', `${nameOf(bucket, key)} needs an encryption key (SSE-C)`);
    requireVersion(headers, versionId, nameOf(bucket, key));
    const head = objectHead(headers, strongEtag(headers), representationHeaders(headers), nameOf(bucket, key));
    // Few objects have a coding. A read whose answer has one asks for the object's own.
    if ('content-encoding' in headers) this.#codings.learn({ bucket, key, etag: head.etag }, headers);
    return head;
  }

  /** A HEAD has no body with an error code. If its status has several meanings, a GET of one byte returns the code. */
  async #headError(
    bucket: string,
    key: string,
    response: RawResponse,
    call: CallOptions,
    versionId: string | undefined,
  ): Promise<OrcaError> {
    const { status } = response;
    const name = nameOf(bucket, key);
    const isBucketKnown = performance.now() - (this.#bucketSeenMs.get(bucket) ?? -Infinity) < BUCKET_KNOWN_MS;
    // The key, or the version of it.
    const isUnclear404 = !isBucketKnown || versionId !== undefined;
    const isUnclear = status === 400 || status === 403 || (status === 404 && isUnclear404);
    if (!isUnclear) return errorFor(response, name);
    const explained = await this.#readFirstByte(bucket, key, call, versionId);
    if (explained.status >= 400 && explained.status !== 416) return errorFor(explained, name);
    return new OrcaError('origin_unavailable', `the origin rejects HEAD of ${name} with ${status}, but allows GET`, {
      status,
    });
  }

  async #learnCoding(object: ObjectVersion, call: CallOptions): Promise<void> {
    const { bucket, key } = object;
    const query = versionQuery(object.versionId);
    const response = await this.#send({ method: 'HEAD', bucket, key, query }, call);
    if (response.status !== 200) throw errorFor(response, nameOf(bucket, key));
    if (strongEtag(response.headers) !== object.etag)
      throw new OrcaError('object_changed', `${nameOf(bucket, key)} has changed: another ETag`);
    this.#codings.learn(object, response.headers);
  }
}

function partOf(headers: ResponseHeaders, object: ObjectVersion, part: number): ObjectPart {
  const name = nameOf(object.bucket, object.key);
  if (strongEtag(headers) !== object.etag) throw new OrcaError('object_changed', `${name} has changed: another ETag`);
  const text = /^[1-9]\d{0,4}$/.exec(headers['x-amz-mp-parts-count'] ?? '')?.[0];
  const count = text === undefined ? undefined : Number(text);
  // An empty object has one part, but no range of bytes.
  if (object.sizeBytes === 0) return { range: { from: 0, to: 0 }, count };
  const range = contentRange(headers);
  if (range === undefined)
    throw new OrcaError('not_implemented', `the origin does not report the range of part ${part} of ${name}`);
  if (range.totalBytes !== object.sizeBytes || range.to > object.sizeBytes || range.from >= range.to)
    throw new OrcaError('origin_unavailable', `the origin reports a range outside of ${name} for part ${part}`);
  const checksums = bodyChecksums(headers);
  const known = { range: { from: range.from, to: range.to }, count };
  return Object.keys(checksums).length === 0 ? known : { ...known, checksums };
}

/** A server without versions ignores the parameter, and describes the object that it has. */
function requireVersion(headers: ResponseHeaders, versionId: string | undefined, name: string): void {
  if (versionId === undefined || (headers['x-amz-version-id'] ?? NULL_VERSION) === versionId) return;
  throw new OrcaError('not_implemented', `the origin does not serve versions by ID: it ignores the one requested of ${name}`);
}

function versionQuery(versionId: string | undefined): readonly (readonly [string, string])[] {
  return versionId === undefined ? [] : [['versionId', encodeRfc3986(versionId)]];
}

function nameOf(bucket: string, key: string): string {
  return `${bucket}/${key}`;
}
