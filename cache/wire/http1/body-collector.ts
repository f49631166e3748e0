/**
 * Collects a body that is not for the sink: error documents and small responses, at most 64 KiB unless the caller sets
 * another limit, framed by Content-Length, chunked coding or the end of the connection.
 */
import { WireError } from './errors.ts';
import type { Framing } from './response-head.ts';

/** An S3 error document has a few hundred bytes; anything longer is an HTML page, whose beginning is enough. */
export const MAX_COLLECTED_BYTES = 64 * 1024;
/** A chunk-size line with extensions, or a trailer line. */
const MAX_LINE_BYTES = 4 * 1024;

export interface BodyCollector {
  /** `complete`: exactly at the body's end. `full`: the limit is reached, and the remaining bytes stay unread. */
  push(bytes: Uint8Array): 'more' | 'complete' | 'full';
  readonly endsWithConnection: boolean;
  body(): Buffer;
}

export function createBodyCollector(framing: Framing, maxBytes = MAX_COLLECTED_BYTES): BodyCollector {
  const pieces: Buffer[] = [];
  let collected = 0;
  /** Data bytes missing from the body or the current chunk; Infinity if the connection's end ends the body. */
  let missing = framing.kind === 'length' ? framing.lengthBytes : framing.kind === 'chunked' ? 0 : Infinity;
  let line = '';
  let expects: 'size' | 'data' | 'data-end' | 'trailer' = framing.kind === 'chunked' ? 'size' : 'data';
  let overran = false;

  const keep = (bytes: Uint8Array): void => {
    const part = bytes.subarray(0, maxBytes - collected);
    pieces.push(Buffer.from(part));
    collected += part.length;
    if (part.length < bytes.length) overran = true;
  };
  /** Takes a complete line of the chunked coding. True = it ends the body. */
  const takeLine = (): boolean => {
    const text = line;
    line = '';
    if (expects === 'trailer') return text === '';
    if (expects === 'data-end') {
      if (text !== '') throw new WireError('protocol', 'a chunk of the response is longer than announced');
      expects = 'size';
      return false;
    }
    const size = /^([0-9a-fA-F]{1,12})[\t ]*(?:;.*)?$/.exec(text)?.[1];
    if (size === undefined) throw new WireError('protocol', 'the response has a malformed chunk size');
    missing = Number.parseInt(size, 16);
    expects = missing === 0 ? 'trailer' : 'data';
    return false;
  };
  return {
    endsWithConnection: framing.kind === 'until-close',
    body: () => Buffer.concat(pieces),
    push(bytes) {
      let at = 0;
      while (at < bytes.length) {
        if (expects === 'data') {
          const lengthBytes = Math.min(missing, bytes.length - at);
          keep(bytes.subarray(at, at + lengthBytes));
          if (overran) return 'full';
          at += lengthBytes;
          missing -= lengthBytes;
          if (missing > 0) continue;
          if (framing.kind === 'length') return at === bytes.length ? 'complete' : 'full';
          expects = 'data-end';
          continue;
        }
        const byte = bytes[at++] ?? 0;
        if (byte !== 0x0a) {
          line += String.fromCharCode(byte);
          if (line.length > MAX_LINE_BYTES)
            throw new WireError('protocol', `a chunk line of the response is longer than ${MAX_LINE_BYTES} bytes`);
          continue;
        }
        if (!line.endsWith('\r')) throw new WireError('protocol', 'a chunk line of the response ends without CR');
        line = line.slice(0, -1);
        if (takeLine()) return at === bytes.length ? 'complete' : 'full';
      }
      return 'more';
    },
  };
}
