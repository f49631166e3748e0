/**
 * Tests whether an object store's conditional writes are atomic: writes one name twice, then lets many writers with
 * different bytes race for one large object. Also tests whether the written bytes can be read, whole and in ranges.
 */
import { randomBytes } from 'node:crypto';
import { decodeMetadata, encodeMetadata, MAX_BLOCKS, MIN_BLOCK_BYTES } from '#cache/core/chunk-metadata.ts';
import { combineCrc32, crc32 } from '#cache/core/crc32.ts';
import { hasCode } from '#cache/core/errors.ts';
import type { StoreFindings, StoreProblem } from '#cache/core/store-verdict.ts';
import type { ByteSink, CallOptions } from '#cache/engine/ports.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { contentRange } from '#cache/wire/s3/client.ts';
import type { ExclusivePut } from './exclusive-put.ts';
import type { ObjectWire, Upload } from './object-wire.ts';

/** Enough to detect a store that fails the race only now and then. */
const WRITERS = 16;
/** Some stores are atomic for small bodies only, so the race needs a large one. Its metadata have the maximum size, too. */
const BODY_BYTES = MAX_BLOCKS * MIN_BLOCK_BYTES;
/** The part that all bodies share and repeat, so that the probe needs little more memory than this. */
const SHARED_BYTES = 1024 * 1024;
const OWN_BYTES = MIN_BLOCK_BYTES;
/** A range across the boundary of both parts. */
const RANGE = { from: OWN_BYTES - 1_000, to: OWN_BYTES + 1_000 };
/** As long as that of any chunk, so that the store proves that it keeps metadata of this size. */
const PROBE_IDENTITY = `${'0'.repeat(64)}/${'9'.repeat(15)}`;

export interface RaceProbeContext {
  readonly wire: ObjectWire;
  readonly put: ExclusivePut;
}

/** Writes `key` and `<key>.first`; the caller deletes them. */
export async function probeRace(context: RaceProbeContext, key: string, call: CallOptions): Promise<StoreFindings> {
  const { wire, put } = context;
  const first = await put.offer(smallUpload(firstKey(key)), call);
  const second = await put.offer(smallUpload(firstKey(key)), call);
  const isRaced = (first === 'won' || first === 'unknown') && (second === 'taken' || second === 'unknown');

  const uploads = largeUploads(key);
  const settled = await Promise.allSettled(
    isRaced
      ? uploads.map((upload) => put.offer(upload, call))
      : uploads.slice(0, 1).map((one) => put.replace(one, call)),
  );
  const outcomes = settled.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
  const { storedWriter, problems } = await inspect(context, uploads, key, call);
  const versioned = await wire.isVersioned(key, call);
  return { first, second, ...(isRaced && { race: { outcomes, storedWriter } }), problems, versioned };
}

export function firstKey(key: string): string {
  return `${key}.first`;
}

function smallUpload(key: string): Upload {
  const body = randomBytes(1_000);
  return { key, pieces: [body], lengthBytes: body.length, crc32: crc32(body) };
}

function largeUploads(key: string): Upload[] {
  const shared = randomBytes(SHARED_BYTES);
  const rest = [shared.subarray(OWN_BYTES), ...Array.from({ length: BODY_BYTES / SHARED_BYTES - 1 }, () => shared)];
  const restCrc = rest.reduce((crc, piece) => crc32(piece, crc), 0);
  return Array.from({ length: WRITERS }, (_, writer) => {
    const own = randomBytes(OWN_BYTES);
    const crc = combineCrc32(crc32(own), restCrc, BODY_BYTES - OWN_BYTES);
    const blockCrcs = Uint32Array.from({ length: MAX_BLOCKS }, (_block, index) => (crc + index) >>> 0);
    const metadata = {
      lengthBytes: BODY_BYTES,
      etag: `writer-${writer}`,
      identity: PROBE_IDENTITY,
      crc32: crc,
      blockSizeBytes: MIN_BLOCK_BYTES,
      blockCrcs,
    };
    return { key, pieces: [own, ...rest], lengthBytes: BODY_BYTES, crc32: crc, metadata };
  });
}

async function inspect(
  { wire }: RaceProbeContext,
  uploads: readonly Upload[],
  key: string,
  call: CallOptions,
): Promise<{ readonly storedWriter: number | undefined; readonly problems: StoreProblem[] }> {
  let headers: ResponseHeaders = {};
  const onHead = (_status: number, answered: ResponseHeaders): void => {
    headers = answered;
  };
  const whole = countingSink();
  const response = await wire.send({ method: 'GET', key, sink: whole, expectedBytes: BODY_BYTES, onHead }, call);
  if (response.status !== 200) throw wire.errorFor(response, key);
  const at = uploads.findIndex((upload) => upload.crc32 === whole.crc32 && upload.lengthBytes === whole.lengthBytes);
  const upload = uploads[at];
  if (upload === undefined) return { storedWriter: undefined, problems: ['bytes'] };

  const part = countingSink();
  const range = { range: `bytes=${RANGE.from}-${RANGE.to - 1}` };
  const ranged = await wire.send(
    { method: 'GET', key, headers: range, sink: part, expectedBytes: RANGE.to - RANGE.from, onHead: () => {} },
    call,
  );
  if (ranged.status >= 500 && ranged.status !== 501) throw wire.errorFor(ranged, key);
  const problems: StoreProblem[] = [];
  if (!isRange(ranged.status, ranged.headers) || part.crc32 !== crc32(rangeOf(upload))) problems.push('range');
  if (!keptMetadata(upload, wire.metadataFields(headers))) problems.push('metadata');
  return { storedWriter: at, problems };
}

function isRange(status: number, headers: ResponseHeaders): boolean {
  const got = contentRange(headers);
  return status === 206 && got?.from === RANGE.from && got.to === RANGE.to && got.totalBytes === BODY_BYTES;
}

function rangeOf({ pieces }: Upload): Buffer {
  const [own = Buffer.alloc(0), next = Buffer.alloc(0)] = pieces;
  return Buffer.concat([own.subarray(RANGE.from), next.subarray(0, RANGE.to - OWN_BYTES)]);
}

function keptMetadata({ metadata }: Upload, fields: Readonly<Record<string, string>>): boolean {
  try {
    const kept = decodeMetadata(fields);
    return (
      kept !== undefined &&
      metadata !== undefined &&
      JSON.stringify(encodeMetadata(kept)) === JSON.stringify(encodeMetadata(metadata))
    );
  } catch (error) {
    if (hasCode(error, 'chunk_bad')) return false;
    throw error;
  }
}

/** Keeps only a body's length and checksum. */
function countingSink(): ByteSink & { readonly crc32: number; readonly lengthBytes: number } {
  const scratch = new Uint8Array(OWN_BYTES);
  let crc = 0;
  let length = 0;
  return {
    space: () => scratch,
    filled(lengthBytes) {
      crc = crc32(scratch.subarray(0, lengthBytes), crc);
      length += lengthBytes;
    },
    // There is always room.
    onSpace: (resume) => queueMicrotask(resume),
    get crc32() {
      return crc;
    },
    get lengthBytes() {
      return length;
    },
  };
}
