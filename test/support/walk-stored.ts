/**
 * One replica walks a prewarm of many objects that are all stored. Prints the time and the memory that this takes. A
 * process of its own, so that nothing else is measured.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { chunkAt } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ListPage, ListQuery } from '#cache/core/s3/listing.ts';
import type { Warm } from '#cache/engine/warm/warm.ts';
import { Records } from '#cache/prewarm/records.ts';
import { Walk } from '#cache/prewarm/walk.ts';
import { systemClock } from '#shared/clock.ts';
import { openLog } from '#shared/log.ts';
import { fakeChunkStore } from './fake-chunk-store.ts';

const OBJECTS = Number(process.argv[2] ?? 100_000);
/** How many the list has now. */
let objects = OBJECTS;
const OBJECT_BYTES = 1024 * 1024;
const MIB = 1024 * 1024;
const DIGITS = 9;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const keyOf = (at: number): string => `data/epoch-1/shard-${String(at).padStart(DIGITS, '0')}.tar`;

async function list(_bucket: string, { after, maxKeys }: ListQuery): Promise<ListPage> {
  const from = after === '' ? 0 : Number(after.slice(-DIGITS - 4, -4)) + 1;
  const to = Math.min(objects, from + maxKeys);
  const items = Array.from({ length: to - from }, (_, offset) => {
    const key = keyOf(from + offset);
    const entry = { key, etag: `"${key}"`, sizeBytes: OBJECT_BYTES, lastModifiedMs: 0, storageClass: 'STANDARD' };
    return { kind: 'object', entry } as const;
  });
  await systemClock.sleep(1);
  return { items, truncated: to < objects };
}

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

const warm: Warm = {
  async resolve({ bucket, key }) {
    await turn();
    const object = { originId: 'test', bucket, key, etag: 'v1', sizeBytes: OBJECT_BYTES };
    return { object, chunkSizeBytes: OBJECT_BYTES, count: 1, chunkAt: (index) => chunkAt(object, OBJECT_BYTES, index) };
  },
  async isStored() {
    await turn();
    return true;
  },
  chunk: () => Promise.reject(new OrcaError('internal', 'everything is stored')),
};

function open(uid: string): Walk {
  return new Walk({
    run: {
      uid,
      name: 'walk',
      run: 1,
      targets: [{ kind: 'prefix', bucket: 'models', prefix: 'data/', include: ['**/*.tar'], exclude: [] }],
      maxBytesPerSecond: undefined,
      parallelism: 32,
      pin: undefined,
    },
    resumed: undefined,
    cache: 'ml/models',
    self: () => '10.0.0.1:8444',
    warm,
    sources: {
      list,
      read: () => Promise.reject(new OrcaError('not_found', 'no manifest')),
      client: { request: () => Promise.reject(new Error('no API server')) },
      namespace: 'ml',
    },
    records: new Records({ originId: 'test', store: fakeChunkStore(), clock: systemClock }),
    pin: undefined,
    clock: systemClock,
    random: Math.random,
    log: openLog({ name: 'test', level: 'error' }),
    count() {},
  });
}

const { signal } = new AbortController();
const held = (): number => {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};
// In a pod that serves clients, the young generation of the heap has its final size. Here another walk makes it grow.
objects = Math.min(OBJECTS, 30_000);
await open('00000000-0000-4000-8000-000000000000').walk(signal);
objects = OBJECTS;
const heldBefore = held();
const before = process.memoryUsage.rss();
let peak = before;
const sampling = setInterval(() => {
  peak = Math.max(peak, process.memoryUsage.rss());
}, 20);
const startedMs = performance.now();
const cpuBefore = process.cpuUsage();
const walk = open('00000000-0000-4000-8000-000000000001');
await walk.walk(signal);
clearInterval(sampling);
const { user, system } = process.cpuUsage(cpuBefore);
const seconds = (performance.now() - startedMs) / 1000;
const report = walk.report();
console.log(
  JSON.stringify({
    objects: report.objects,
    alreadyStored: report.bytes.alreadyStored,
    seconds: Number(seconds.toFixed(1)),
    cpuSeconds: Number(((user + system) / 1e6).toFixed(1)),
    addedMiB: Number(((peak - before) / MIB).toFixed(1)),
    heldMiB: Number(((held() - heldBefore) / MIB).toFixed(1)),
  }),
);
