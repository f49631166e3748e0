/**
 * The Origin port over Azure Blob Storage: block blobs as S3 objects. Azure's conditional headers differ from HTTP's, so
 * only `If-Match` is used. Nothing is retried here; a response counts only if it is exactly what was requested.
 */
import { OrcaError } from '#cache/core/errors.ts';
import {
  rangeLength,
  type ByteRange,
  type ObjectHead,
  type ObjectPart,
  type ObjectVersion,
} from '#cache/core/object.ts';
import type { ListPage, ListQuery } from '#cache/core/s3/listing.ts';
import type { SubResource, SubResourceAnswer } from '#cache/core/s3/sub-resource.ts';
import { isImmutable, NULL_VERSION } from '#cache/core/s3/version-id.ts';
import type { VersionPage } from '#cache/core/s3/version-list.ts';
import type { ByteSink, CallOptions, Origin } from '#cache/engine/ports.ts';
import { accept, retryWithCoding } from '#cache/origins/response/accept.ts';
import { objectHead, toOrcaError } from '#cache/origins/response/answers.ts';
import { openCodings } from '#cache/origins/response/codings.ts';
import { withLimits } from '#cache/origins/response/limits.ts';
import {
  asAzureEtag,
  openAzureClient,
  s3EtagOf,
  type AzureClient,
  type AzureClientOptions,
} from '#cache/wire/azure/client.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { listContainers } from './containers.ts';
import { errorFor } from './errors.ts';
import { isDirectory, s3Headers } from './headers.ts';
import { openAzureList, type AzureList } from './list.ts';

/** `x-ms-version-id` is the time at which the version was written. */
const BLOB_VERSION = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/;

export function openAzureOrigin(options: AzureClientOptions): Origin {
  return new AzureOrigin(options);
}

class AzureOrigin implements Origin {
  readonly #client: AzureClient;
  readonly #lists: AzureList;
  readonly #codings = openCodings();

  constructor(options: AzureClientOptions) {
    this.#client = openAzureClient(options);
    this.#lists = openAzureList(this.#client);
  }

  async head(bucket: string, key: string, call: CallOptions, versionId?: string): Promise<ObjectHead> {
    const name = nameOf(bucket, key);
    if (isImmutable(versionId) && !BLOB_VERSION.test(versionId ?? ''))
      throw new OrcaError('version_invalid', `the version IDs of ${name} are points in time`);
    try {
      return await this.#lookUp(bucket, key, call, versionId);
    } catch (error) {
      throw toOrcaError(error, name);
    }
  }

  async read(object: ObjectVersion, range: ByteRange, sink: ByteSink, call: CallOptions): Promise<void> {
    const { bucket, key, etag } = object;
    const name = nameOf(bucket, key);
    const headers = { range: `bytes=${range.from}-${range.to - 1}`, 'if-match': `"${asAzureEtag(etag)}"` };
    const onHead = (status: number, answer: ResponseHeaders): void => {
      if (status < 200 || status >= 300) return;
      checkType(answer, name);
      accept({ status, headers: answer, etag: s3EtagOf(answer) }, object, range, this.#codings);
    };
    const query = versionQuery(object.versionId);
    const expectedBytes = rangeLength(range);
    const request = {
      method: 'GET',
      container: bucket,
      blob: key,
      query,
      headers,
      sink,
      expectedBytes,
      onHead,
    } as const;
    try {
      const response = await retryWithCoding(
        () => this.#client.send(request, withLimits(call)),
        () => this.#learnCoding(object, call),
      );
      // Azure answers 412 for a deleted blob too. A HEAD distinguishes the two: it rejects for a deleted one.
      if (response.status === 412) await this.#lookUp(bucket, key, call, object.versionId);
      if (response.status >= 300) throw errorFor(response, bucket, key);
    } catch (error) {
      throw toOrcaError(error, name);
    }
  }

  /** The blocks of a blob are not parts: its ETag is that of an object with one part, which is the whole blob. */
  async part(object: ObjectVersion, part: number): Promise<ObjectPart> {
    if (part !== 1) throw new OrcaError('part_not_found', `${nameOf(object.bucket, object.key)} has no part ${part}`);
    return { range: { from: 0, to: object.sizeBytes }, count: undefined };
  }

  /** Azure knows no S3 accounts, so no bucket belongs to another one. */
  async checkOwner(): Promise<void> {}

  async probe(bucket: string, prefix: string, call: CallOptions): Promise<'reachable' | 'list_denied'> {
    const key = `${prefix}_orca-probe`;
    const request = { method: 'GET', container: bucket, blob: key, headers: { range: 'bytes=0-0' } } as const;
    try {
      const response = await this.#client.send(request, withLimits(call));
      if (response.status < 300 || response.status === 416) return 'reachable';
      const error = errorFor(response, bucket, key);
      if (error.code === 'not_found') return 'reachable';
      throw error;
    } catch (error) {
      throw toOrcaError(error, nameOf(bucket, key));
    }
  }

  list(bucket: string, query: ListQuery, call: CallOptions): Promise<ListPage> {
    return this.#lists.list(bucket, query, call);
  }

  async listBuckets(prefix: string, call: CallOptions): Promise<readonly string[]> {
    try {
      return await listContainers(this.#client, prefix, call);
    } catch (error) {
      throw toOrcaError(error, 'the list of containers');
    }
  }

  /** Azure lists the versions of a blob from the oldest to the newest, and marks deletions in another way. */
  async listVersions(bucket: string): Promise<VersionPage> {
    throw new OrcaError('not_implemented', `the versions in ${bucket} cannot be listed: its origin is Azure`);
  }

  async subResource(bucket: string, _key: string, { name }: SubResource): Promise<SubResourceAnswer> {
    throw new OrcaError('not_implemented', `the origin of ${bucket} is Azure, which has no ?${name}`);
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  async #lookUp(bucket: string, key: string, call: CallOptions, versionId: string | undefined): Promise<ObjectHead> {
    const query = versionQuery(versionId);
    const response = await this.#client.send({ method: 'HEAD', container: bucket, blob: key, query }, withLimits(call));
    if (response.status !== 200) throw asVersionError(errorFor(response, bucket, key), versionId);
    // Every blob of an account that keeps versions has one; others are what S3 calls the null version.
    if (versionId !== undefined && (response.headers['x-ms-version-id'] ?? NULL_VERSION) !== versionId)
      throw new OrcaError('version_not_found', `the origin has no such version of ${nameOf(bucket, key)}`);
    const head = headOf(response.headers, nameOf(bucket, key));
    // Few blobs have a coding. A read whose answer has one asks for the blob's own.
    if ('content-encoding' in response.headers) this.#codings.learn({ bucket, key, etag: head.etag }, response.headers);
    return head;
  }

  async #learnCoding(object: ObjectVersion, call: CallOptions): Promise<void> {
    const { bucket, key } = object;
    const { etag, headers } = await this.#lookUp(bucket, key, call, object.versionId);
    if (etag !== object.etag) throw new OrcaError('object_changed', `${nameOf(bucket, key)} has changed: another ETag`);
    this.#codings.learn(object, headers);
  }
}

function versionQuery(versionId: string | undefined): readonly (readonly [string, string])[] {
  return versionId === undefined || versionId === NULL_VERSION ? [] : [['versionid', versionId]];
}

/** Azure reports a missing version like a missing blob. */
function asVersionError(error: OrcaError, versionId: string | undefined): OrcaError {
  if (versionId === undefined || error.code !== 'not_found') return error;
  return new OrcaError('version_not_found', error.message, { cause: error });
}

function headOf(headers: ResponseHeaders, name: string): ObjectHead {
  if (isDirectory(headers['x-ms-resource-type'], headers['x-ms-meta-hdi_isfolder']))
    throw new OrcaError('not_found', `${name} is a directory at the origin`, { status: 200 });
  checkType(headers, name);
  return objectHead(headers, s3EtagOf(headers), s3Headers(headers), name);
}

/** Append blobs grow and page blobs are modified in place, even while they are read. */
function checkType(headers: ResponseHeaders, name: string): void {
  const type = headers['x-ms-blob-type'] ?? 'BlockBlob';
  if (type !== 'BlockBlob') throw new OrcaError('origin_unsupported', `${name} is of type ${type} at the origin`);
}

function nameOf(bucket: string, key: string): string {
  return `${bucket}/${key}`;
}
