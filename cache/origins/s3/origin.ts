/**
 * The Origin port over S3. Error responses become error codes; a response counts only if it is exactly what was
 * requested. Nothing is retried here.
 */
import { OrcaError } from '#cache/core/errors.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import {
  rangeLength,
  type ByteRange,
  type ObjectHead,
  type ObjectPart,
  type ObjectVersion,
} from '#cache/core/object.ts';
import type { ListPage, ListQuery } from '#cache/core/s3/listing.ts';
import type { SubResource, SubResourceAnswer } from '#cache/core/s3/sub-resource.ts';
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
  openS3Client,
  openS3Credentials,
  strongEtag,
  type S3Client,
  type S3ClientOptions,
  type S3Request,
} from '#cache/wire/s3/client.ts';
import { errorFor } from './errors.ts';
import { openS3List, type S3List } from './list.ts';
import { lacksLength, Quirks, totalBytes } from './quirks.ts';
import { subResourceAnswer, subResourceRequest } from './sub-resource.ts';
import { partOf, requireVersion, versionQuery } from './versions.ts';

/** How long a bucket that has answered counts as existing, so that a missing key costs no second request. */
const BUCKET_KNOWN_MS = 60_000;
const CUSTOMER_KEY = 'x-amz-server-side-encryption-customer-algorithm';
/** As many as the allow-list can name; under its patterns clients may name more. */
const MAX_BUCKETS_SEEN = 1_000;

export function openS3Origin(options: S3ClientOptions): Origin {
  return new S3Origin(options);
}

class S3Origin implements Origin {
  readonly #client: S3Client;
  readonly #lists: S3List;
  readonly #codings = openCodings();
  readonly #quirks = new Quirks();
  readonly #bucketSeenMs = new LruTable<number>({ maxEntries: MAX_BUCKETS_SEEN });

  constructor(options: S3ClientOptions) {
    const credentials = openS3Credentials(options);
    this.#client = openS3Client(options, credentials);
    this.#lists = openS3List(options, credentials);
  }

  async head(bucket: string, key: string, call: CallOptions, versionId?: string): Promise<ObjectHead> {
    const name = nameOf(bucket, key);
    try {
      const query = versionQuery(versionId);
      let response = await this.#send({ method: 'HEAD', bucket, key, query, headers: this.#quirks.forHead }, call);
      if (response.status !== 200) response = await this.#explainHead(bucket, key, response, call, versionId);
      const headers = lacksLength(response.headers)
        ? await this.#withLength(bucket, key, response.headers, call, versionId)
        : response.headers;
      return this.#headOf(bucket, key, headers, versionId);
    } catch (error) {
      const known = toOrcaError(error, name);
      if (known.code === 'not_found') this.#bucketSeenMs.set(bucket, performance.now());
      throw known;
    }
  }

  async read(object: ObjectVersion, range: ByteRange, sink: ByteSink, call: CallOptions): Promise<void> {
    const { bucket, key, etag } = object;
    const query = versionQuery(object.versionId);
    const expectedBytes = rangeLength(range);
    const send = (condition: Readonly<Record<string, string>>): Promise<RawResponse> => {
      const headers = { range: `bytes=${range.from}-${range.to - 1}`, ...condition };
      return this.#send({ method: 'GET', bucket, key, query, headers, sink, expectedBytes, onHead }, call);
    };
    const onHead = (status: number, answer: ResponseHeaders): void => {
      if (status >= 200 && status < 300)
        accept({ status, headers: answer, etag: strongEtag(answer) }, object, range, this.#codings);
    };
    try {
      let response = await retryWithCoding(
        () => send(this.#quirks.conditionFor(etag)),
        () => this.#learnCoding(object, call),
      );
      // A server may compare the ETag in another form, such as without its quotes. The response proves the version.
      if (response.status === 412 && this.#quirks.comparesIfMatch && (await this.#isCurrent(object, call))) {
        response = await send({});
        if (response.status < 300) this.#quirks.learnIfMatch();
      }
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
      const headers = { ...this.#quirks.conditionFor(etag), ...this.#quirks.forHead };
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

  listBuckets(prefix: string, call: CallOptions): Promise<readonly string[]> {
    return this.#lists.listBuckets(prefix, call);
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
  async #explainHead(
    bucket: string,
    key: string,
    response: RawResponse,
    call: CallOptions,
    versionId: string | undefined,
  ): Promise<RawResponse> {
    const { status } = response;
    const name = nameOf(bucket, key);
    const isBucketKnown = performance.now() - (this.#bucketSeenMs.get(bucket) ?? -Infinity) < BUCKET_KNOWN_MS;
    // The key, or the version of it.
    const isUnclear404 = !isBucketKnown || versionId !== undefined;
    const isUnclear = status === 400 || status === 501 || status === 403 || (status === 404 && isUnclear404);
    if (!isUnclear) throw errorFor(response, name);
    const explained = await this.#readFirstByte(bucket, key, call, versionId);
    if (explained.status >= 400 && explained.status !== 416) throw errorFor(explained, name);
    if (this.#quirks.mayRefuseChecksumMode(status)) {
      const plain = await this.#send({ method: 'HEAD', bucket, key, query: versionQuery(versionId) }, call);
      if (plain.status === 200) {
        this.#quirks.learnChecksumMode();
        return plain;
      }
    }
    throw new OrcaError('origin_unavailable', `the origin rejects HEAD of ${name} with ${status}, but allows GET`, {
      status,
    });
  }

  /** The headers of a HEAD with the length that a GET of one byte reports. */
  async #withLength(
    bucket: string,
    key: string,
    headers: ResponseHeaders,
    call: CallOptions,
    versionId: string | undefined,
  ): Promise<ResponseHeaders> {
    const { headers: answered } = await this.#readFirstByte(bucket, key, call, versionId);
    const lengthBytes = totalBytes(answered);
    if (lengthBytes !== undefined && strongEtag(answered) === strongEtag(headers))
      return { ...headers, 'content-length': String(lengthBytes) };
    throw new OrcaError(
      'origin_unsupported',
      `the origin does not report the length of ${nameOf(bucket, key)}: it may compress or decompress while it sends`,
    );
  }

  async #isCurrent({ bucket, key, etag, versionId }: ObjectVersion, call: CallOptions): Promise<boolean> {
    const response = await this.#send({ method: 'HEAD', bucket, key, query: versionQuery(versionId) }, call);
    return response.status === 200 && strongEtag(response.headers) === etag;
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

function nameOf(bucket: string, key: string): string {
  return `${bucket}/${key}`;
}
