/** Gathers the bytes of one answer's heads (1xx and final), within a bound. */
import { WireError } from './errors.ts';
import { parseHead, type ResponseHead } from './response-head.ts';

/** Far above what any store sends (S3 allows 2 KB of user metadata); a head without end must not eat memory. */
const MAX_HEAD_BYTES = 64 * 1024;
const END = Buffer.from('\r\n\r\n', 'latin1');

export interface HeadReader {
  /** Takes bytes up to the end of the next head; what is behind it belongs to the body or the next head. */
  push(bytes: Uint8Array): { readonly head: ResponseHead | undefined; readonly consumed: number };
}

export function createHeadReader(): HeadReader {
  let before: Buffer = Buffer.alloc(0);
  return {
    push(bytes) {
      const fresh = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const all = before.length === 0 ? fresh : Buffer.concat([before, fresh]);
      // The end may lie across two reads.
      const end = all.indexOf(END, Math.max(0, before.length - END.length + 1));
      if (end > MAX_HEAD_BYTES || (end < 0 && all.length > MAX_HEAD_BYTES))
        throw new WireError('protocol', `the head of the answer is longer than ${MAX_HEAD_BYTES} bytes`);
      if (end < 0) {
        // A copy: the memory of this read is used for the next one.
        before = Buffer.from(all);
        return { head: undefined, consumed: bytes.length };
      }
      const consumed = end + END.length - before.length;
      before = Buffer.alloc(0);
      return { head: parseHead(all.toString('latin1', 0, end)), consumed };
    },
  };
}
