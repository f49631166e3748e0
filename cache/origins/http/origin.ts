/**
 * The Origin port over HTTP servers. A version is a strong ETag, or what a hub reports with its redirect; every read
 * proves it again. Nothing is retried here, and a response counts only if it is exactly what was requested.
 */
import { OrcaError } from '#cache/core/errors.ts';
import {
  rangeLength,
  type ByteRange,
  type ObjectHead,
  type ObjectPart,
  type ObjectVersion,
} from '#cache/core/object.ts';
import type { ListPage } from '#cache/core/s3/listing.ts';
import type { SubResource, SubResourceAnswer } from '#cache/core/s3/sub-resource.ts';
import { isImmutable } from '#cache/core/s3/version-id.ts';
import type { VersionPage } from '#cache/core/s3/version-list.ts';
import type { ByteSink, CallOptions, Origin } from '#cache/engine/ports.ts';
import { accept, retryWithCoding } from '#cache/origins/response/accept.ts';
import { toOrcaError } from '#cache/origins/response/answers.ts';
import { openCodings } from '#cache/origins/response/codings.ts';
import { withLimits } from '#cache/origins/response/limits.ts';
import type { Env } from '#cache/wire/http1/proxy.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { urlOf } from './address.ts';
import { HttpClient, type HttpAnswer } from './client.ts';
import { errorFor } from './errors.ts';
import { headByGet, headOf, linkedHead, mayNotAllowHead } from './head.ts';
import type { HttpOriginSettings } from './settings.ts';
import { conditionOf, versionLike, type LinkedVersion } from './version.ts';

export interface HttpOriginOptions extends HttpOriginSettings {
  /** The environment that names HTTP proxies. */
  readonly env: Env;
}

export function openHttpOrigin(options: HttpOriginOptions): Origin {
  return new HttpOrigin(options);
}

class HttpOrigin implements Origin {
  readonly #allowLastModified: boolean;
  readonly #urls: ReadonlyMap<string, string>;
  readonly #client: HttpClient;
  readonly #codings = openCodings();

  constructor({ env, ...settings }: HttpOriginOptions) {
    this.#allowLastModified = settings.allowLastModified;
    this.#urls = new Map(Object.entries(settings.urls));
    this.#client = new HttpClient(settings, env);
  }

  async head(bucket: string, key: string, call: CallOptions, versionId?: string): Promise<ObjectHead> {
    // A file that was never versioned is what S3 calls the null version.
    if (isImmutable(versionId))
      throw new OrcaError('not_implemented', `the origin of ${bucket} is an HTTP server, which has no versions`);
    try {
      return await this.#lookUp(bucket, key, call);
    } catch (error) {
      throw toOrcaError(error, nameOf(bucket, key));
    }
  }

  async read(object: ObjectVersion, range: ByteRange, sink: ByteSink, call: CallOptions): Promise<void> {
    const { bucket, key, etag } = object;
    const name = nameOf(bucket, key);
    const onHead = this.#acceptor(object, range);
    const expectedBytes = rangeLength(range);
    const send = async (condition: Readonly<Record<string, string>>): Promise<HttpAnswer> => {
      const headers = { range: `bytes=${range.from}-${range.to - 1}`, ...condition };
      const url = urlOf(this.#baseUrl(bucket), key);
      return this.#client.send({ method: 'GET', url, name, headers, sink, expectedBytes, onHead }, withLimits(call));
    };
    const sendAgain = (condition: Readonly<Record<string, string>>): Promise<HttpAnswer> =>
      retryWithCoding(
        () => send(condition),
        () => this.#learnCoding(object, call),
      );
    try {
      let answer = await sendAgain(conditionOf(etag));
      if (answer.status === 412) {
        // A hub may compare the condition with a validator of its own: a HEAD decides. The answer proves the version.
        const head = await this.#lookUp(bucket, key, call);
        if (head.etag !== etag) throw changed(name, 'another version');
        answer = await sendAgain({});
      }
      if (answer.status >= 300) throw errorFor(answer, name, answer.isForeign);
    } catch (error) {
      throw toOrcaError(error, name);
    }
  }

  /** A file has no parts: the first one is all of it. */
  async part(object: ObjectVersion, part: number): Promise<ObjectPart> {
    if (part !== 1) throw new OrcaError('part_not_found', `${nameOf(object.bucket, object.key)} has no part ${part}`);
    return { range: { from: 0, to: object.sizeBytes }, count: undefined };
  }

  /** HTTP servers have no accounts. */
  async checkOwner(): Promise<void> {}

  /** Any answer will do, even a redirect, except a denial or a failure. */
  async probe(bucket: string, prefix: string, call: CallOptions): Promise<'reachable' | 'list_denied'> {
    const name = nameOf(bucket, `${prefix}_orca-probe`);
    try {
      const url = urlOf(this.#baseUrl(bucket), `${prefix}_orca-probe`);
      const headers = { range: 'bytes=0-0' };
      const answer = await this.#client.send(
        { method: 'GET', url, name, headers, stopAt: 'every_redirect' },
        withLimits(call),
      );
      if (answer.status !== 401 && answer.status !== 403 && answer.status < 500) return 'reachable';
      throw errorFor(answer, name, false);
    } catch (error) {
      throw toOrcaError(error, name);
    }
  }

  async list(bucket: string): Promise<ListPage> {
    this.#baseUrl(bucket);
    throw new OrcaError('not_implemented', `the origin of ${bucket} is an HTTP server, which cannot list objects`);
  }

  async listBuckets(): Promise<readonly string[]> {
    throw new OrcaError('not_implemented', 'the origin is an HTTP server, which has no buckets to list');
  }

  async listVersions(bucket: string): Promise<VersionPage> {
    this.#baseUrl(bucket);
    throw new OrcaError('not_implemented', `the origin of ${bucket} is an HTTP server, which has no versions`);
  }

  async subResource(bucket: string, _key: string, { name }: SubResource): Promise<SubResourceAnswer> {
    throw new OrcaError('not_implemented', `the origin of ${bucket} is an HTTP server, which has no ?${name}`);
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  #baseUrl(bucket: string): string {
    const baseUrl = this.#urls.get(bucket);
    if (baseUrl === undefined)
      throw new OrcaError('bucket_not_found', `bucket ${bucket} has no URL: add it to origin.http.urls`);
    return baseUrl;
  }

  async #lookUp(bucket: string, key: string, call: CallOptions): Promise<ObjectHead> {
    const name = nameOf(bucket, key);
    const url = urlOf(this.#baseUrl(bucket), key);
    let answer = await this.#client.send({ method: 'HEAD', url, name, stopAt: 'known' }, withLimits(call));
    // The target of the redirect would add nothing to the version, and its signed URL may not allow a HEAD.
    if (answer.linked !== undefined && answer.status >= 300 && answer.status < 400)
      return linkedHead(answer.linked, answer.headers);
    if (mayNotAllowHead(answer)) answer = await headByGet(this.#client, url, name, withLimits(call));
    if (answer.status !== 200) throw errorFor(answer, name, answer.isForeign);
    const head = headOf(answer, this.#allowLastModified, name);
    // Most files have no coding: a response that has one is what makes a read ask.
    if ('content-encoding' in answer.headers) this.#codings.learn({ bucket, key, etag: head.etag }, answer.headers);
    return head;
  }

  async #learnCoding(object: ObjectVersion, call: CallOptions): Promise<void> {
    const { bucket, key } = object;
    const { etag, headers } = await this.#lookUp(bucket, key, call);
    if (etag !== object.etag) throw changed(nameOf(bucket, key), 'another version');
    this.#codings.learn(object, headers);
  }

  /** Checks each head of a read: a redirect before it is followed, the response before its first byte. */
  #acceptor(object: ObjectVersion, range: ByteRange) {
    const name = nameOf(object.bucket, object.key);
    return (status: number, headers: ResponseHeaders, linked: LinkedVersion | undefined): void => {
      if (linked !== undefined && linked.etag !== object.etag) throw changed(name, 'another linked ETag');
      if (linked !== undefined && linked.sizeBytes !== object.sizeBytes) throw changed(name, 'another linked size');
      if (status < 200 || status >= 300) return;
      // The redirect has proven the version: the ETag of its target is another one.
      const etag = linked === undefined ? versionLike(object.etag, status, headers) : object.etag;
      const isWhole = status === 200 && headers['content-length'] === String(object.sizeBytes);
      if (isWhole && etag === object.etag && rangeLength(range) !== object.sizeBytes)
        throw new OrcaError('origin_unsupported', `the origin ignores the Range of a read of ${name}`, { status });
      accept({ status, headers, etag }, object, range, this.#codings);
    };
  }
}

function nameOf(bucket: string, key: string): string {
  return `${bucket}/${key}`;
}

function changed(name: string, what: string): OrcaError {
  return new OrcaError('object_changed', `${name} has changed: ${what}`);
}
