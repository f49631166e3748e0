/**
 * A ByteSink for tests: collects a body in windows of a given size, and can refuse room until the test gives it.
 */
import type { ByteSink } from '#cache/engine/ports.ts';

export interface CollectSink extends ByteSink {
  /** All bytes so far, in order. */
  bytes(): Buffer;
  readonly lengthBytes: number;
  /** How often the source was told that there is no room. */
  readonly pauses: number;
  /** Refuses room from now on. */
  pause(): void;
  /** Gives room again and calls the source back. */
  resume(): void;
  /** Resolves as soon as at least so many bytes are in. */
  has(lengthBytes: number): Promise<void>;
}

export interface CollectSinkOptions {
  /** Memory handed out at a time; a full window is put away and the next one handed out. */
  readonly windowBytes?: number;
  /** After every full window there is no room until the next turn of the event loop. */
  readonly pauseAfterWindow?: boolean;
  /** From so many bytes on there is no room until the test calls `resume`. */
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
