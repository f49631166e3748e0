/**
 * Writing a blob so that exactly one writer wins: `Put Blob` with `If-None-Match: *` and the body's MD5, and what to do
 * with each of its answers. With its MD5 a cut or damaged upload is refused by the service and never becomes a blob.
 */
import { createHash } from 'node:crypto';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { encodeMetadata, type ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { CallOptions } from '#cache/engine/ports.ts';
import { refusal } from '#cache/stores/azure-errors.ts';
import { azureErrorCode, type AzureClient } from '#cache/wire/azure-client.ts';
import { WireError } from '#cache/wire/errors.ts';
import type { RawResponse } from '#cache/wire/raw-client.ts';
import { cancelledBy } from '#cache/wire/sink.ts';

export interface Upload {
  readonly name: string;
  readonly pieces: readonly Uint8Array[];
  readonly lengthBytes: number;
  readonly metadata?: ChunkMetadata;
}

export interface AzurePut {
  /** A plain checksummed upload, whatever is there. */
  replace(upload: Upload, call: CallOptions): Promise<'won'>;
  /**
   * Creates the blob unless there is one. `look` tells what stands there after an answer that leaves it open; `other`
   * says what happens to something else than ours.
   */
  create(
    upload: Upload,
    look: () => Promise<'same' | 'other' | 'absent'>,
    other: 'replace' | 'lose',
    call: CallOptions,
  ): Promise<'won' | 'lost'>;
}

/** A blob that vanishes each time that it was in the way is somebody's game, not ours. */
const CREATE_ATTEMPTS = 5;
const AGAIN_DELAY_MIN_MS = 50;
const AGAIN_DELAY_SPREAD_MS = 200;
/** So much is hashed in one turn of the event loop, some 2 ms: streams must not wait for a whole chunk's MD5. */
const HASHED_PER_TURN_BYTES = 1024 * 1024;

export function openAzurePut(client: AzureClient, container: string): AzurePut {
  const send = async (upload: Upload, md5: string, ifAbsent: boolean, call: CallOptions): Promise<RawResponse> => {
    const headers: Record<string, string> = {
      'content-type': 'application/octet-stream',
      'content-length': String(upload.lengthBytes),
      'content-md5': md5,
      'x-ms-blob-type': 'BlockBlob',
    };
    if (ifAbsent) headers['if-none-match'] = '*';
    if (upload.metadata !== undefined) Object.assign(headers, metadataHeaders(encodeMetadata(upload.metadata)));
    return client.send({ method: 'PUT', container, blob: upload.name, headers, body: upload.pieces }, call);
  };
  const overwrite = async (upload: Upload, md5: string, call: CallOptions): Promise<'won'> => {
    const response = await send(upload, md5, false, call);
    if (response.status >= 300) throw written(refusal(response, upload.name));
    return 'won';
  };

  return {
    async replace(upload, call) {
      return overwrite(upload, await md5Of(upload.pieces, call.signal), call);
    },
    async create(upload, look, other, call) {
      const md5 = await md5Of(upload.pieces, call.signal);
      for (let attempt = 1; ; attempt++) {
        let open: unknown;
        try {
          const response = await send(upload, md5, true, call);
          if (response.status < 300) return 'won';
          open = written(refusal(response, upload.name));
          // Azure says 409 where the blob was there before, 412 where it came meanwhile.
          const isThere = response.status === 412 || azureErrorCode(response) === 'BlobAlreadyExists';
          if (!isThere) throw open;
        } catch (error) {
          // A service that answers early and closes shows as a reset: the outcome is open, so look.
          if (!(error instanceof WireError) || error.failure !== 'closed') throw error;
          open = error;
        }
        const found = await look();
        if (found === 'same') return other === 'lose' && open instanceof WireError ? 'won' : 'lost';
        if (found === 'other') return other === 'lose' ? 'lost' : overwrite(upload, md5, call);
        // Refused because it was there, and gone now; or cut before it was there: once more.
        if (attempt >= CREATE_ATTEMPTS || open instanceof WireError) throw open;
        await pause(call.signal);
      }
    },
  };
}

/** Azure takes only names that C# would: no `-`. */
export function metadataHeaders(fields: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [`${META}${name.replaceAll('-', '_')}`, value]),
  );
}

/** The inverse, of an answer's headers. */
export function metadataFields(headers: Readonly<Record<string, string>>): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    if (name.startsWith(META)) fields[name.slice(META.length).replaceAll('_', '-')] = value;
  return fields;
}

const META = 'x-ms-meta-';

async function md5Of(pieces: readonly Uint8Array[], signal: AbortSignal): Promise<string> {
  const hash = createHash('md5');
  let hashedBytes = 0;
  for (const piece of pieces)
    for (let at = 0; at < piece.length; at += HASHED_PER_TURN_BYTES) {
      const part = piece.subarray(at, at + HASHED_PER_TURN_BYTES);
      hash.update(part);
      hashedBytes += part.length;
      if (hashedBytes < HASHED_PER_TURN_BYTES) continue;
      hashedBytes = 0;
      await turn();
      if (signal.aborted) throw cancelledBy(signal);
    }
  return hash.digest('base64');
}

/** A write never finds its blob missing: 404 is the container. */
function written(error: OrcaError): OrcaError {
  if (error.code !== 'chunk_missing') return error;
  return new OrcaError('store_unavailable', error.message, { cause: error, status: 404 });
}

async function pause(signal: AbortSignal): Promise<void> {
  const ms = AGAIN_DELAY_MIN_MS + Math.random() * AGAIN_DELAY_SPREAD_MS;
  await delay(ms, undefined, { signal }).catch(() => {
    throw cancelledBy(signal);
  });
}
