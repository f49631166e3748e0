/** Engines with a bounded cachestore on a fake clock: each object is one chunk of 64 KiB. */
import { chunkPathPrefix } from '#cache/core/chunk.ts';
import type { CapacitySettings } from '#cache/core/capacity/settings.ts';
import { openEngines, patternBytes, readAll, readRequest, whileTimePasses, type Replica } from './engines.ts';
import { fakeChunkStore } from './fake-chunk-store.ts';
import { fakeClock } from './fake-clock.ts';

export const CHUNK_BYTES = 64 * 1024;
export const MINUTE_MS = 60_000;

export interface CapacityOptions {
  readonly replicas?: number;
  readonly settings?: Partial<CapacitySettings>;
  /** The store refuses more. */
  readonly storeBytes?: number;
}

export function capacityEngines(options: CapacityOptions = {}) {
  const clock = fakeClock();
  const store = fakeChunkStore({
    clock,
    ...(options.storeBytes !== undefined && { capacityBytes: options.storeBytes }),
  });
  const settings = { current: options.settings ?? {} };
  const engines = openEngines({
    clock,
    store,
    replicas: options.replicas ?? 1,
    chunkBytes: CHUNK_BYTES,
    budgetBytes: 16 * 1024 * 1024,
    capacity: () => settings.current,
  });
  const stop = new AbortController();
  for (const { engine } of engines.replicas) void engine.run(stop.signal);
  let turn = 0;
  const put = (key: string, seed = 1) => engines.origin.put('far-models', key, patternBytes(CHUNK_BYTES, seed));
  return {
    ...engines,
    clock,
    settings,
    put,
    /** The path of the object's only chunk. */
    pathOf: (key: string, seed = 1): string => {
      const { etag } = engines.origin.put('elsewhere', key, patternBytes(CHUNK_BYTES, seed));
      return `${chunkPathPrefix({ originId: 'test', bucket: 'far-models', key, etag }, CHUNK_BYTES)}0`;
    },
    /** Reads the object at the replicas in turn, or at the given one. */
    read: async (key: string, replica?: Replica): Promise<void> => {
      const { engine } = replica ?? engines.replicas[turn++ % engines.replicas.length]!;
      await whileTimePasses(
        clock,
        readAll(engine, readRequest(key)).then(() => engine.idle()),
      );
    },
    /** Puts and reads new objects. */
    fill: async (count: number, prefix = 'key'): Promise<string[]> => {
      const keys = Array.from({ length: count }, (_, number) => `${prefix}-${number}`);
      for (const [number, key] of keys.entries()) {
        put(key, number + 1);
        const { engine } = engines.replicas[turn++ % engines.replicas.length]!;
        await whileTimePasses(clock, readAll(engine, readRequest(key)));
      }
      return keys;
    },
    close: async (): Promise<void> => {
      stop.abort();
      await clock.advance(1);
    },
  };
}
