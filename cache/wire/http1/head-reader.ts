/** Collects the bytes of a response's heads (1xx and final), up to a limit. */
import { WireError } from './errors.ts';
import { parseHead, type ResponseHead } from './response-head.ts';

/** Far above what any store sends (S3 allows 2 KB of user metadata); an endless head must not exhaust memory. */
const MAX_HEAD_BYTES = 64 * 1024;
const END = Buffer.from('\r\n\r\n', 'latin1');
const NOTHING = Buffer.alloc(0);

export interface HeadReader {
  /** Consumes bytes up to the end of the next head; the bytes behind it belong to the body or the next head. */
  push(bytes: Uint8Array): { readonly head: ResponseHead | undefined; readonly consumed: number };
}

export function createHeadReader(): HeadReader {
  let pending: Buffer = NOTHING;
  return {
    push(bytes) {
      const fresh = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const all = pending.length === 0 ? fresh : Buffer.concat([pending, fresh]);
      // The end may span two reads.
      const end = all.indexOf(END, Math.max(0, pending.length - END.length + 1));
      if (end > MAX_HEAD_BYTES || (end < 0 && all.length > MAX_HEAD_BYTES))
        throw new WireError('protocol', `the response head is longer than ${MAX_HEAD_BYTES} bytes`);
      if (end < 0) {
        // A copy: the next read reuses this memory.
        pending = Buffer.from(all);
        return { head: undefined, consumed: bytes.length };
      }
      const consumed = end + END.length - pending.length;
      pending = NOTHING;
      return { head: parseHead(all.toString('latin1', 0, end)), consumed };
    },
  };
}
