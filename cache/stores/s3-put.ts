/**
 * Writing an object so that exactly one writer wins: `PUT If-None-Match: *` with a checksum, and what to do with each of
 * its answers. Every upload carries its CRC-32: some stores publish the cut body of one that carries none.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { encodeMetadata, type ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { CallOptions } from '#cache/engine/ports.ts';
import { refusal } from '#cache/stores/s3-errors.ts';
import { WireError } from '#cache/wire/errors.ts';
import type { RawResponse } from '#cache/wire/raw-client.ts';
import type { S3Client } from '#cache/wire/s3-client.ts';
import { cancelledBy } from '#cache/wire/sink.ts';

export interface Upload {
  readonly key: string;
  readonly pieces: readonly Uint8Array[];
  readonly lengthBytes: number;
  readonly crc32: number;
  readonly metadata?: ChunkMetadata;
}

export interface S3Put {
  /** A plain checksummed PUT, whatever is there. */
  replace(upload: Upload, call: CallOptions): Promise<'won'>;
  /**
   * Creates the object unless there is one. `look` tells what stands there after an answer that leaves it open; `other`
   * says what happens to something else than ours.
   */
  create(
    upload: Upload,
    look: () => Promise<'same' | 'other' | 'absent'>,
    other: 'replace' | 'lose',
    call: CallOptions,
  ): Promise<'won' | 'lost'>;
}

/** 409 means that another conditional write is under way: after a few of its lengths the store is not well. */
const CREATE_ATTEMPTS = 5;
const CONFLICT_DELAY_MIN_MS = 50;
const CONFLICT_DELAY_SPREAD_MS = 200;

export function openS3Put(client: S3Client, bucket: string): S3Put {
  /** Known after the first 501: then look first, and write plainly. Identical bytes make the race harmless. */
  let conditional = true;

  const send = async (upload: Upload, ifAbsent: boolean, call: CallOptions): Promise<RawResponse> => {
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(upload.crc32);
    const headers: Record<string, string> = {
      'content-type': 'application/octet-stream',
      'content-length': String(upload.lengthBytes),
      'x-amz-checksum-crc32': checksum.toString('base64'),
    };
    if (ifAbsent) headers['if-none-match'] = '*';
    if (upload.metadata !== undefined)
      for (const [name, value] of Object.entries(encodeMetadata(upload.metadata)))
        headers[`x-amz-meta-${name}`] = value;
    return client.send({ method: 'PUT', bucket, key: upload.key, headers, body: upload.pieces }, call);
  };
  const replace = async (upload: Upload, call: CallOptions): Promise<'won'> => {
    const response = await send(upload, false, call);
    if (response.status >= 300) throw written(refusal(response, upload.key));
    return 'won';
  };

  return {
    replace,
    async create(upload, look, other, call) {
      for (let attempt = 1; ; attempt++) {
        let open: unknown;
        if (conditional) {
          try {
            const response = await send(upload, true, call);
            if (response.status < 300) return 'won';
            open = written(refusal(response, upload.key));
            if (response.status === 501) conditional = false;
            else if (response.status === 409) {
              if (attempt >= CREATE_ATTEMPTS) throw open;
              await pause(call.signal);
              continue;
            } else if (response.status !== 412) throw open;
          } catch (error) {
            // A store that answers early and closes shows as a reset: the outcome is open, so look.
            if (!(error instanceof WireError) || error.failure !== 'closed') throw error;
            open = error;
          }
        }
        const found = await look();
        if (found === 'same') return other === 'lose' && open instanceof WireError ? 'won' : 'lost';
        if (found === 'other') return other === 'lose' ? 'lost' : replace(upload, call);
        if (!conditional) return replace(upload, call);
        // Refused because it was there, and gone now; or cut before it was there: once more.
        if (attempt >= CREATE_ATTEMPTS || open instanceof WireError) throw open;
      }
    },
  };
}

/** A write never finds its object missing: 404 is the bucket. */
function written(error: OrcaError): OrcaError {
  if (error.code !== 'chunk_missing') return error;
  return new OrcaError('store_unavailable', error.message, { cause: error, status: 404 });
}

async function pause(signal: AbortSignal): Promise<void> {
  const ms = CONFLICT_DELAY_MIN_MS + Math.random() * CONFLICT_DELAY_SPREAD_MS;
  await delay(ms, undefined, { signal }).catch(() => {
    throw cancelledBy(signal);
  });
}
