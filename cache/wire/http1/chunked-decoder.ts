/** Decodes the chunked transfer coding (RFC 9112 §7.1), strictly: what is malformed is an error. */
import { WireError } from './errors.ts';

/** A chunk-size line with extensions, or a trailer line. */
const MAX_LINE_BYTES = 4 * 1024;

export interface ChunkedDecoder {
  /**
   * Passes the data in `bytes` to `onData`, piece by piece. Returns how many bytes belong to the body; `isComplete` once
   * its end has been read.
   */
  push(bytes: Uint8Array, onData: (data: Uint8Array) => void): number;
  readonly isComplete: boolean;
}

export function createChunkedDecoder(): ChunkedDecoder {
  let missing = 0;
  let line = '';
  let expects: 'size' | 'data' | 'data-end' | 'trailer' | 'nothing' = 'size';

  /** Takes a complete line. */
  const takeLine = (text: string): void => {
    if (expects === 'trailer') {
      if (text === '') expects = 'nothing';
      return;
    }
    if (expects === 'data-end') {
      expects = 'size';
      return;
    }
    const size = /^([0-9a-fA-F]{1,12})[\t ]*(?:;.*)?$/.exec(text)?.[1];
    if (size === undefined) throw new WireError('protocol', 'the response has a malformed chunk size');
    missing = Number.parseInt(size, 16);
    expects = missing === 0 ? 'trailer' : 'data';
  };
  const takeByte = (byte: number): void => {
    if (expects === 'data-end' && byte !== (line === '' ? 0x0d : 0x0a))
      throw new WireError('protocol', 'a chunk of the response is longer than announced');
    if (byte !== 0x0a) {
      line += String.fromCharCode(byte);
      if (line.length > MAX_LINE_BYTES)
        throw new WireError('protocol', `a chunk line of the response is longer than ${MAX_LINE_BYTES} bytes`);
      return;
    }
    if (!line.endsWith('\r')) throw new WireError('protocol', 'a chunk line of the response ends without CR');
    const text = line.slice(0, -1);
    line = '';
    takeLine(text);
  };
  return {
    get isComplete() {
      return expects === 'nothing';
    },
    push(bytes, onData) {
      let at = 0;
      while (at < bytes.length && expects !== 'nothing') {
        if (expects !== 'data') {
          takeByte(bytes[at++] ?? 0);
          continue;
        }
        const lengthBytes = Math.min(missing, bytes.length - at);
        missing -= lengthBytes;
        if (missing === 0) expects = 'data-end';
        onData(bytes.subarray(at, at + lengthBytes));
        at += lengthBytes;
      }
      return at;
    },
  };
}
