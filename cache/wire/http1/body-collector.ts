/**
 * Collects a body that is not for the sink: error documents and small responses, at most 64 KiB unless the caller sets
 * another limit, framed by Content-Length, chunked coding or the end of the connection.
 */
import { createChunkedDecoder } from './chunked-decoder.ts';
import type { Framing } from './response-head.ts';

/** An S3 error document has a few hundred bytes; anything longer is an HTML page, whose beginning is enough. */
export const MAX_COLLECTED_BYTES = 64 * 1024;

export interface BodyCollector {
  /** `complete`: exactly at the body's end. `full`: the limit is reached, and the remaining bytes stay unread. */
  push(bytes: Uint8Array): 'more' | 'complete' | 'full';
  readonly endsWithConnection: boolean;
  body(): Buffer;
}

export function createBodyCollector(framing: Framing, maxBytes = MAX_COLLECTED_BYTES): BodyCollector {
  const pieces: Buffer[] = [];
  let collected = 0;
  /** Missing bytes of a body without the chunked coding; Infinity if the connection's end ends it. */
  let missing = framing.kind === 'length' ? framing.lengthBytes : Infinity;
  const chunked = framing.kind === 'chunked' ? createChunkedDecoder() : undefined;
  let overran = false;

  const keep = (bytes: Uint8Array): void => {
    const part = bytes.subarray(0, maxBytes - collected);
    pieces.push(Buffer.from(part));
    collected += part.length;
    if (part.length < bytes.length) overran = true;
  };
  return {
    endsWithConnection: framing.kind === 'until-close',
    body: () => Buffer.concat(pieces),
    push(bytes) {
      if (chunked !== undefined) {
        const taken = chunked.push(bytes, keep);
        if (overran) return 'full';
        if (!chunked.isComplete) return 'more';
        return taken === bytes.length ? 'complete' : 'full';
      }
      const own = bytes.subarray(0, missing);
      keep(own);
      missing -= own.length;
      if (overran) return 'full';
      if (missing > 0) return 'more';
      return own.length === bytes.length ? 'complete' : 'full';
    },
  };
}
