/**
 * Keys that an object lists, which is read through the cache. In ranges: a run may take hours, and a response that is read
 * slowly would hold memory that clients need.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { ReadRequest, ReadResult } from '#cache/engine/read.ts';
import type { TargetSpec } from '#cache/prewarm/resource.ts';
import { MAX_LINE_BYTES, readKeyLines } from './lines.ts';
import { MAX_PAGE_KEYS, type Target } from './target.ts';

/** A page of keys of usual length; more than the longest line in any case. */
const RANGE_BYTES = 128 * 1024;

export type ReadObject = (request: ReadRequest) => Promise<ReadResult>;

type ManifestSpec = Extract<TargetSpec, { readonly kind: 'manifest' }>;

/** Positions are `<offset> <ETag>`. If the object changes, it is read from its start: what is stored is skipped. */
export function manifestTarget({ bucket, manifest }: ManifestSpec, read: ReadObject): Target {
  const title = `s3://${manifest.bucket}/${manifest.key}`;
  return {
    bucket,
    title,
    async *pages(after, signal) {
      const head = await read({ ...requestFor(manifest, signal), headOnly: true });
      await head.body.return();
      const { etag, sizeBytes } = head.object;
      let offset = offsetIn(after, etag);
      const position = (at: number): string => `${at} ${etag}`;
      while (offset < sizeBytes) {
        const range = { from: offset, to: Math.min(sizeBytes, offset + RANGE_BYTES) };
        const bytes = await readRange(read, manifest, range, etag, signal);
        const { lines, end } = readKeyLines(bytes, range.to === sizeBytes, MAX_PAGE_KEYS);
        if (end === 0)
          throw new OrcaError('invalid_argument', `${title} has a line of more than ${MAX_LINE_BYTES} bytes`);
        const from = offset;
        offset += end;
        yield {
          keys: lines.map((line) => ({ key: line.key, sizeBytes: undefined, after: position(from + line.end) })),
          after: position(offset),
        };
      }
    },
  };
}

function requestFor(name: { readonly bucket: string; readonly key: string }, signal: AbortSignal): ReadRequest {
  return { ...name, range: undefined, conditions: {}, headOnly: false, requestId: 'prewarm', signal };
}

function offsetIn(after: string, etag: string): number {
  const [offset = '', ...rest] = after.split(' ');
  return rest.join(' ') === etag && /^\d{1,15}$/.test(offset) ? Number(offset) : 0;
}

async function readRange(
  read: ReadObject,
  name: { readonly bucket: string; readonly key: string },
  { from, to }: { readonly from: number; readonly to: number },
  etag: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { object, body } = await read({ ...requestFor(name, signal), range: `bytes=${from}-${to - 1}` });
  const bytes = new Uint8Array(to - from);
  let at = 0;
  try {
    if (object.etag !== etag) throw new OrcaError('object_changed', `s3://${name.bucket}/${name.key} has changed`);
    for await (const piece of body) {
      bytes.set(piece.bytes, at);
      at += piece.bytes.length;
      piece.release();
    }
  } finally {
    await body.return();
  }
  return bytes;
}
