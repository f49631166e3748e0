/** A driver's read: bytes that arrive in a sink over time, with faults. */
import type { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { ByteSink, CallOptions } from '#cache/engine/ports.ts';
import { cancelledBy } from '#cache/wire/http1/sink.ts';
import type { Random } from './random.ts';
import type { Owner, World } from './world.ts';

/** The limits of the drivers, for calls that specify none. */
const DEFAULT_FIRST_BYTE_MS = 20_000;
const DEFAULT_STALL_MS = 60_000;

/** Longer than any simulated connection delays bytes. */
const MOST_MS = 500;
/** Neither poison nor zero. */
const MARK = 0x5a;
/** How long after its limit a file operation that hangs returns. */
const MOST_HUNG_MS = 20_000;
/** The share of file reads that the page cache does not have. */
const DISK_SHARE = 0.2;

export interface FlowFault {
  /** `short`: ends without an error, which no driver should do and every caller should detect. */
  readonly what: 'cut' | 'stall' | 'short';
  readonly afterBytes: number;
}

export interface Flow {
  readonly owner: Owner;
  readonly random: Random;
  readonly firstByteMs: number;
  readonly bytesPerMs: number;
  readonly range: ByteRange;
  readonly sink: ByteSink;
  readonly call: CallOptions;
  readonly fault: FlowFault | undefined;
  readonly unavailable: (message: string) => OrcaError;
  /** Called before the first byte; throws the error that the other side returns instead of bytes. */
  readonly onHead: () => void;
  /** Writes the bytes of the other side that begin at `offset`. */
  readonly source: (offset: number, target: Uint8Array) => void;
  readonly onBytes: (from: number, to: number) => void;
  /** Called when the caller has ended the call, with the offset that was reached. */
  readonly onAborted?: (at: number) => void;
  /**
   * Like a read of a file: the memory is written some time after it was provided, and the call may end before. A stall is
   * an operation that returns long after its limit.
   */
  readonly isFile?: boolean;
}

export function pour(world: World, flow: Flow): Promise<void> {
  const { owner, range, sink, call, fault } = flow;
  const { signal } = call;
  const stallMs = call.stallTimeoutMs ?? DEFAULT_STALL_MS;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let at = range.from;
  let settled = false;
  /** The memory that a file operation will write into when it returns. */
  let lent: Uint8Array | undefined;
  let release: (() => void) | undefined;
  let cancel = (): void => {};
  const settle = (finish: () => void): void => {
    if (settled) return;
    settled = true;
    cancel();
    if (lent !== undefined) {
      // A stream that gets the memory before the operation returns overwrites this; so does the poison of released memory.
      lent[0] = MARK;
      release = sink.keep?.();
      owner.hungOperations = (owner.hungOperations ?? 0) + 1;
    }
    signal.removeEventListener('abort', onAbort);
    finish();
  };
  const fail = (error: unknown): void => settle(() => reject(error));
  const onAbort = (): void => {
    if (!settled) flow.onAborted?.(at);
    fail(cancelledBy(signal));
  };
  const later = (delayMs: number, limitMs: number, label: string, action: () => void): void => {
    if (delayMs <= limitMs) cancel = world.at(delayMs, owner, label, action);
    else cancel = world.at(limitMs, owner, label, () => fail(flow.unavailable(`no bytes within ${limitMs} ms`)));
  };
  const head = (): void => {
    try {
      flow.onHead();
    } catch (error) {
      fail(error);
      return;
    }
    piece();
  };
  const piece = (): void => {
    if (settled) return;
    if (at >= range.to) {
      settle(resolve);
      return;
    }
    const left = fault === undefined ? Infinity : range.from + fault.afterBytes - at;
    if (fault !== undefined && left <= 0) {
      if (fault.what === 'cut') fail(flow.unavailable('the connection was cut'));
      else if (fault.what === 'short') settle(resolve);
      else if (flow.isFile === true) hang();
      else later(Infinity, stallMs, 'stall', () => {});
      return;
    }
    const space = sink.space();
    if (space === undefined) {
      sink.onSpace(() => {
        if (!settled) later(0, stallMs, 'room', piece);
      });
      return;
    }
    const length = Math.min(space.length, pieceBytes(flow.random, flow.bytesPerMs), range.to - at, left);
    const target = space.subarray(0, length);
    if (flow.isFile === true) {
      // A block that is not in the page cache is read from a disk, or over NFS.
      const diskMs = flow.random.chance(DISK_SHARE) ? flow.random.magnitude(1, MOST_MS) : 0;
      write(target, diskMs + length / flow.bytesPerMs, () => {
        if (filled(length)) piece();
      });
    } else {
      flow.source(at, target);
      if (filled(length)) later(length / flow.bytesPerMs, stallMs, 'piece', piece);
    }
  };
  /** Writes into the memory after `delayMs`, even if the call has ended by then; `next` runs if it has not. */
  const write = (target: Uint8Array, delayMs: number, next: () => void): void => {
    lent = target;
    world.at(delayMs, owner, 'file', () => {
      lent = undefined;
      if (settled) owner.hungOperations = (owner.hungOperations ?? 1) - 1;
      if (settled && target[0] !== MARK)
        world.violate('everything is released', `${owner.name} reuses memory that a file operation still writes into`);
      flow.source(at, target);
      release?.();
      if (!settled) next();
    });
  };
  const hang = (): void => {
    const target = sink.space();
    if (target !== undefined) write(target, stallMs + flow.random.magnitude(1, MOST_HUNG_MS), () => {});
    later(Infinity, stallMs, 'hang', () => {});
  };
  const filled = (length: number): boolean => {
    flow.onBytes(at, at + length);
    at += length;
    sink.filled(length);
    // The sink may have ended the call.
    return !settled;
  };
  if (signal.aborted) return Promise.reject(cancelledBy(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  later(flow.firstByteMs, call.firstByteTimeoutMs ?? DEFAULT_FIRST_BYTE_MS, 'head', head);
  return promise;
}

/** A response without a body, after `delayMs`; Infinity = no response. */
export function answer<T>(
  world: World,
  owner: Owner,
  call: CallOptions,
  delayMs: number,
  unavailable: (message: string) => OrcaError,
  action: () => T,
): Promise<T> {
  const { signal } = call;
  if (signal.aborted) return Promise.reject(cancelledBy(signal));
  const limitMs = call.firstByteTimeoutMs ?? DEFAULT_FIRST_BYTE_MS;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      cancel();
      reject(cancelledBy(signal));
    };
    const cancel = world.at(Math.min(delayMs, limitMs), owner, 'answer', () => {
      signal.removeEventListener('abort', onAbort);
      if (delayMs > limitMs) {
        reject(unavailable(`no answer within ${limitMs} ms`));
        return;
      }
      try {
        resolve(action());
      } catch (error) {
        reject(error);
      }
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** Mostly the size of one socket read; sometimes a few bytes; on a slow connection, the bytes of a short time. */
export function pieceBytes(random: Random, bytesPerMs: number): number {
  if (random.chance(0.04)) return random.int(1, 200);
  const most = Math.ceil(Math.max(bytesPerMs * MOST_MS, 1024));
  return Math.min(Math.round(random.magnitude(16 * 1024, 700 * 1024)), most);
}
