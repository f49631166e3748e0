/** The head of an object from the response of an HTTP server, or of a hub that redirects. */
import { OrcaError } from '#cache/core/errors.ts';
import { parseHttpDate } from '#cache/core/http-date.ts';
import type { ObjectHead } from '#cache/core/object.ts';
import type { CallOptions } from '#cache/engine/ports.ts';
import { objectHead } from '#cache/origins/response/answers.ts';
import { representationHeaders } from '#cache/origins/response/representation.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { contentRange } from '#cache/wire/s3/client.ts';
import type { HttpAnswer, HttpClient } from './client.ts';
import { versionOf, type LinkedVersion } from './version.ts';

/** Takes a `200`. */
export function headOf({ headers, linked }: HttpAnswer, allowLastModified: boolean, name: string): ObjectHead {
  const etag = linked?.etag ?? versionOf(200, headers, allowLastModified);
  if (etag === undefined && !allowLastModified && 'last-modified' in headers)
    throw new OrcaError(
      'origin_missing_etag',
      `the origin gives ${name} no strong ETag: correct the server, or set origin.http.allowLastModified`,
    );
  // Not a failure of the server: a page that it generates has no length.
  if (headers['content-length'] === undefined)
    throw new OrcaError('origin_unsupported', `the origin does not report the Content-Length of ${name}`);
  const head = objectHead(headers, etag, representationHeaders(headers), name);
  return linked === undefined ? head : { ...head, ...linked };
}

/** The headers of a redirect describe the redirect, not its target: no type and no coding is known. */
export function linkedHead(linked: LinkedVersion, redirect: ResponseHeaders): ObjectHead {
  return { ...linked, lastModifiedMs: parseHttpDate(redirect['last-modified'] ?? '') ?? 0, headers: {} };
}

/** Whether a GET may tell more than this answer to a HEAD: some servers and signed URLs refuse HEAD, some omit the length. */
export function mayNotAllowHead({ status, headers, isForeign }: HttpAnswer): boolean {
  if (status === 200) return headers['content-length'] === undefined;
  return status === 405 || status === 501 || (status === 403 && isForeign);
}

/** Ends a GET that was sent only for its head. */
class HeadReceived extends Error {
  readonly answer: Pick<HttpAnswer, 'headers' | 'linked'>;

  constructor(answer: Pick<HttpAnswer, 'headers' | 'linked'>) {
    super('only the head is needed');
    this.answer = answer;
  }
}

/** A `200` with the headers that a HEAD would have, or the response of a GET that failed. */
export async function headByGet(client: HttpClient, url: URL, name: string, call: CallOptions): Promise<HttpAnswer> {
  const onHead = (status: number, headers: ResponseHeaders, linked: LinkedVersion | undefined): void => {
    if (status === 200) throw new HeadReceived({ headers, linked });
    const total = status === 206 ? contentRange(headers)?.totalBytes : undefined;
    if (total !== undefined)
      throw new HeadReceived({ headers: { ...headers, 'content-length': String(total) }, linked });
  };
  try {
    return await client.send({ method: 'GET', url, name, headers: { range: 'bytes=0-0' }, onHead }, call);
  } catch (error) {
    if (!(error instanceof HeadReceived)) throw error;
    return { ...error.answer, status: 200, body: Buffer.alloc(0), isForeign: false };
  }
}
