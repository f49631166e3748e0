/**
 * What a server has refused although S3 allows it: a header that it does not know, or a condition with an ETag that it
 * compares in another form. Learned once per process, so that it costs one request.
 */
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { contentRange } from '#cache/wire/s3/client.ts';

/** S3 reports an object's checksums only on request. */
const WITH_CHECKSUM = { 'x-amz-checksum-mode': 'ENABLED' };

export class Quirks {
  #refusesChecksumMode = false;
  #refusesIfMatch = false;

  /** The headers of a HEAD. */
  get forHead(): Readonly<Record<string, string>> {
    return this.#refusesChecksumMode ? {} : WITH_CHECKSUM;
  }

  /** The condition of a read. Without it, the ETag of the response alone proves the version. */
  conditionFor(etag: string): Readonly<Record<string, string>> {
    return this.#refusesIfMatch ? {} : { 'if-match': `"${etag}"` };
  }

  /** Whether a HEAD with this response is worth a repetition without the request for checksums. */
  mayRefuseChecksumMode(status: number): boolean {
    return !this.#refusesChecksumMode && (status === 400 || status === 501);
  }

  learnChecksumMode(): void {
    this.#refusesChecksumMode = true;
  }

  get comparesIfMatch(): boolean {
    return !this.#refusesIfMatch;
  }

  learnIfMatch(): void {
    this.#refusesIfMatch = true;
  }
}

/** Whether a HEAD's response lacks the length, as of a server that compresses or decompresses while it sends. */
export function lacksLength(headers: ResponseHeaders): boolean {
  return !('content-length' in headers);
}

/** The object's length in the response to a GET of its first byte, which an empty object cannot satisfy. */
export function totalBytes(headers: ResponseHeaders): number | undefined {
  if (/^bytes \*\/0$/.test(headers['content-range'] ?? '')) return 0;
  return contentRange(headers)?.totalBytes;
}
