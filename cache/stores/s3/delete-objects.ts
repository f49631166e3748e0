/**
 * Deletes many objects with one request (`POST ?delete`). Its checksum is a CRC-32, or an MD5 for stores that know only
 * that. Not every store has this request.
 */
import { crc32 } from '#cache/core/crc32.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { escapeXml } from '#cache/core/s3/xml.ts';
import type { CallOptions, Removal } from '#cache/engine/ports.ts';
import { md5Of } from '#cache/stores/object/md5.ts';
import { unavailable } from '#cache/stores/object/store-errors.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import { faultOf, type S3Client } from '#cache/wire/s3/client.ts';
import { parseXmlOf, requiredText, textOf, XmlError } from '#cache/wire/xml.ts';
import { base64Of, CRC32 } from './checksum.ts';
import { errorFor, withCode } from './errors.ts';

/** With an error for each of 1000 names, and without Quiet mode, which some stores ignore. */
const MAX_RESULT_BYTES = 4 * 1024 * 1024;
/** The request does not exist: not here, or not in this form. */
const UNSUPPORTED = new Set([400, 404, 405, 411, 501]);
/** It will not exist for the next call either. 400 and 404 have too many other reasons. */
const UNSUPPORTED_FOR_GOOD = new Set([405, 501]);
/** A missing or unknown checksum. */
const CHECKSUM_REFUSALS = new Set([400, 411, 501]);
/** The status with which a store would have refused a DELETE for the same reason. */
const STATUS_OF: ReadonlyMap<string, number> = new Map([
  ['AccessDenied', 403],
  ['InternalError', 500],
  ['SlowDown', 503],
  ['ServiceUnavailable', 503],
]);

export class DeleteObjects {
  readonly #client: S3Client;
  readonly #bucket: string;
  #isSupported = true;
  #knowsCrc32 = true;

  constructor(client: S3Client, bucket: string) {
    this.#client = client;
    this.#bucket = bucket;
  }

  /** Undefined if the store cannot delete many objects at once. */
  async remove(names: readonly string[], call: CallOptions): Promise<Removal | undefined> {
    if (!this.#isSupported) return undefined;
    const response = await this.#post(names, call);
    const { status, body } = response;
    if (status === 200) return removalOf(names, body.toString('utf8'));
    const error = errorFor(response, `the removal of ${names.length} names`);
    const isUnsupported = UNSUPPORTED.has(status) && faultOf(body).code !== 'NoSuchBucket';
    if (!isUnsupported) throw unavailable(error);
    if (UNSUPPORTED_FOR_GOOD.has(status)) this.#isSupported = false;
    return undefined;
  }

  async #post(names: readonly string[], call: CallOptions): Promise<RawResponse> {
    const body = Buffer.from(deleteDocument(names));
    const withMd5 = async () => ({ 'content-md5': await md5Of([body], call.signal) });
    if (!this.#knowsCrc32) return this.#send(body, await withMd5(), call);
    const response = await this.#send(body, { [CRC32]: base64Of(crc32(body)) }, call);
    if (!CHECKSUM_REFUSALS.has(response.status)) return response;
    const again = await this.#send(body, await withMd5(), call);
    if (again.status !== 200) return response;
    this.#knowsCrc32 = false;
    return again;
  }

  #send(body: Buffer, checksum: Readonly<Record<string, string>>, call: CallOptions): Promise<RawResponse> {
    const headers = { 'content-type': 'application/xml', 'content-length': String(body.length), ...checksum };
    return this.#client.send(
      {
        method: 'POST',
        bucket: this.#bucket,
        key: '',
        query: [['delete', '']],
        headers,
        body: [body],
        maxCollectedBytes: MAX_RESULT_BYTES,
      },
      call,
    );
  }
}

export function deleteDocument(names: readonly string[]): string {
  const objects = names.map((name) => `<Object><Key>${escapeXml(name)}</Key></Object>`).join('');
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${objects}<Quiet>true</Quiet></Delete>`;
}

/** A successful response lists the names that failed. */
export function removalOf(names: readonly string[], xml: string): Removal {
  const failed = new Map<string, OrcaError>();
  const asked = new Set(names);
  try {
    for (const child of parseXmlOf('DeleteResult', xml).children) {
      if (child.name !== 'Error') continue;
      const name = requiredText(child, 'Key');
      const code = textOf(child, 'Code') ?? '';
      if (!asked.has(name)) throw new XmlError('it reports a name that was not to be removed');
      if (code === 'NoSuchKey') continue;
      failed.set(name, refused(name, code, textOf(child, 'Message') ?? ''));
    }
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    throw new OrcaError(
      'store_unavailable',
      `the store's response to the removal of ${names.length} names cannot be used: ${error.message}`,
      { cause: error },
    );
  }
  return { removed: names.length - failed.size, failed: [...failed].map(([name, error]) => ({ name, error })) };
}

function refused(name: string, code: string, message: string): OrcaError {
  const status = STATUS_OF.get(code);
  return new OrcaError('store_unavailable', `the store does not remove ${name}: ${code}`, {
    cause: withCode(code, message),
    ...(status !== undefined && { status }),
  });
}
