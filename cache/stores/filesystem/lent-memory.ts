/**
 * The memory of a read or write, as a file thread sees it: pooled segments are shared with it, so that nothing is copied;
 * other memory goes through the thread's own buffer.
 */
import type { LentMemory, MemoryMessage } from './file-request.ts';
import { BOUNCE_BYTES, type FileThread } from './file-thread.ts';

/** Smaller buffers are single segments that the pool frees again: a thread must not keep them. */
const MIN_KEPT_BYTES = 4 * 1024 * 1024;

const numbers = new WeakMap<SharedArrayBuffer, number>();
/** 0 is each thread's own buffer. */
let nextNumber = 1;

/** Whether a thread may write into `bytes` itself. */
export function isShared(bytes: Uint8Array): boolean {
  return bytes.buffer instanceof SharedArrayBuffer;
}

export function lend(bytes: Uint8Array): { readonly memory: LentMemory; readonly message: MemoryMessage } {
  const buffer = bytes.buffer as SharedArrayBuffer;
  const memory = numbers.get(buffer) ?? nextNumber++;
  numbers.set(buffer, memory);
  return {
    memory: { memory, offset: bytes.byteOffset, lengthBytes: bytes.length },
    message: { memory, buffer, isKept: buffer.byteLength >= MIN_KEPT_BYTES },
  };
}

/** The part of `bytes` that one request reads or writes through the thread's buffer. */
export function bounced({ length }: Uint8Array): LentMemory {
  return { memory: 0, offset: 0, lengthBytes: Math.min(length, BOUNCE_BYTES) };
}

export function copyIn(thread: FileThread, bytes: Uint8Array): void {
  thread.bounce.set(bytes.subarray(0, BOUNCE_BYTES));
}

export function copyOut(thread: FileThread, bytes: Uint8Array, lengthBytes: number): void {
  bytes.set(thread.bounce.subarray(0, lengthBytes));
}
