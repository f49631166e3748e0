/** A ByteSink for small responses of unknown length: collects them in memory, up to a limit. */
import type { ByteSink } from '#cache/engine/ports.ts';

export interface BufferSink extends ByteSink {
  bytes(): Uint8Array;
}

const PIECE_BYTES = 16 * 1024;

/** Throws once it holds more than `maxBytes`, which ends the request that fills it. */
export function bufferSink(maxBytes: number): BufferSink {
  const full: Uint8Array[] = [];
  let piece = new Uint8Array(PIECE_BYTES);
  let used = 0;
  return {
    space() {
      if (used === piece.length) {
        full.push(piece);
        if (full.length * PIECE_BYTES > maxBytes) throw new RangeError(`the response is longer than ${maxBytes} bytes`);
        piece = new Uint8Array(PIECE_BYTES);
        used = 0;
      }
      return piece.subarray(used);
    },
    filled(lengthBytes) {
      used += lengthBytes;
    },
    onSpace(resume) {
      queueMicrotask(resume);
    },
    bytes: () => Uint8Array.from(Buffer.concat([...full, piece.subarray(0, used)])),
  };
}
