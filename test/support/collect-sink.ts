/** A ByteSink for tests: it collects a body in windows of a given size, and can pause the source. */
import type { ByteSink } from '#cache/engine/ports.ts';

export interface CollectSink extends ByteSink {
  /** All bytes so far, in order. */
  bytes(): Buffer;
  readonly lengthBytes: number;
  /** How often the source found no room. */
  readonly pauses: number;
  /** Has no room from now on. */
  pause(): void;
  /** Has room again, and calls the source's callback. */
  resume(): void;
  /** Resolves as soon as at least `lengthBytes` have arrived. */
  has(lengthBytes: number): Promise<void>;
}

export interface CollectSinkOptions {
  /** The size of one window; when it is full, the next one is used. */
  readonly windowBytes?: number;
  /** After every full window, pauses until the next turn of the event loop. */
  readonly pauseAfterWindow?: boolean;
  /** Pauses when this many bytes have arrived, until the test calls `resume`. */
  readonly pauseAtBytes?: number;
}

const DEFAULT_WINDOW_BYTES = 256 * 1024;

export function collectSink(options: CollectSinkOptions = {}): CollectSink {
  const windowBytes = options.windowBytes ?? DEFAULT_WINDOW_BYTES;
  const done: Uint8Array[] = [];
  let window = new Uint8Array(windowBytes);
  let used = 0;
  let lengthBytes = 0;
  let pauses = 0;
  let paused = false;
  let callback: (() => void) | undefined;
  const watchers = new Set<{ readonly lengthBytes: number; readonly resolve: () => void }>();
  const resume = (): void => {
    paused = false;
    const call = callback;
    callback = undefined;
    call?.();
  };
  return {
    space() {
      if (paused) {
        pauses += 1;
        return undefined;
      }
      return window.subarray(used);
    },
    filled(count) {
      if (count < 0 || used + count > window.length) throw new RangeError(`${count} bytes do not fit the space given`);
      used += count;
      if (lengthBytes < (options.pauseAtBytes ?? Infinity) && lengthBytes + count >= (options.pauseAtBytes ?? Infinity))
        paused = true;
      lengthBytes += count;
      if (used === window.length) {
        done.push(window);
        window = new Uint8Array(windowBytes);
        used = 0;
        if (options.pauseAfterWindow === true) {
          paused = true;
          setImmediate(resume);
        }
      }
      for (const watcher of watchers)
        if (lengthBytes >= watcher.lengthBytes) {
          watchers.delete(watcher);
          watcher.resolve();
        }
    },
    onSpace(call) {
      if (paused) callback = call;
      else queueMicrotask(call);
    },
    bytes: () => Buffer.concat([...done, window.subarray(0, used)]),
    get lengthBytes() {
      return lengthBytes;
    },
    get pauses() {
      return pauses;
    },
    pause() {
      paused = true;
    },
    resume,
    async has(count) {
      if (lengthBytes >= count) return;
      await new Promise<void>((resolve) => watchers.add({ lengthBytes: count, resolve }));
    },
  };
}
