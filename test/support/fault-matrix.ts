/**
 * One cell of the fault matrix: three replicas read a cold object while a toxic affects one of their links. Every body is
 * correct or its connection fails, no wrong byte is stored, and everything recovers when the toxic is removed.
 */
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { http, sha256, type HttpAnswer } from './http.ts';
import { patternBytes } from './engines.ts';
import { BUCKET, MIB, startReplicas, type Replicas } from './replicas.ts';
import { startToxiproxy, type Toxic, type ToxicLink, type ToxicStream } from './toxiproxy.ts';

export type LinkTo = 'origin' | 'store' | 'peer';

export interface Fault {
  readonly name: string;
  readonly toxic: Toxic;
  /** Default: both. */
  readonly stream?: ToxicStream;
  /** No client may notice anything but that it takes longer. */
  readonly harmless?: boolean;
}

/** Toxics that only delay. */
export const SLOW: readonly Fault[] = (
  [
    { type: 'latency', latency: 30, jitter: 15 },
    { type: 'bandwidth', rate: 5_000 },
    { type: 'slow_close', delay: 200 },
    { type: 'slicer', average_size: 1_500, size_variation: 700, delay: 5 },
  ] as const
).map((toxic) => ({ name: toxic.type, toxic, harmless: true }));

export interface Survived {
  /** How often the origin sent each byte of the object, by what the replicas have received. */
  readonly duplication: number;
  /** The errors on the link while the toxic was active. */
  readonly failures: number;
}

export interface FaultWorld extends AsyncDisposable {
  readonly cache: Replicas;
  /** `warm`: the object is stored, and no replica has it in memory. */
  expectSurvived(fault: Fault, object?: 'cold' | 'warm'): Promise<Survived>;
}

/** The metrics that show a failing link. */
const SYMPTOMS: Readonly<Record<LinkTo, readonly (readonly [string, Readonly<Record<string, string>>])[]>> = {
  origin: [['orca_origin_requests_total', { outcome: 'error' }]],
  store: [
    ['orca_source_fallbacks_total', { source: 'store' }],
    ['orca_store_requests_total', { outcome: 'store_unavailable' }],
  ],
  peer: [['orca_source_fallbacks_total', {}]],
};

/** Breakers stay open for up to 30 s, and a failed commit waits up to 30 s for its retry. */
const HEAL_LIMIT_MS = 100_000;
const CHUNKS = 3;
/** The last chunk is shorter. */
const BODY_BYTES = CHUNKS * MIB - 100_001;

export async function openFaultWorld(to: LinkTo): Promise<FaultWorld> {
  await using started = new AsyncDisposableStack();
  const toxiproxy = started.use(await startToxiproxy());
  const links: ToxicLink[] = [];
  const cache = started.use(
    await startReplicas({
      replicas: 3,
      async link(of, address) {
        if (of !== to) return address;
        const link = await toxiproxy.link(address);
        links.push(link);
        return link.address;
      },
      changes: { 'origin.retry': { attempts: 3, backoffInitial: '5ms', backoffMax: '200ms', maxTotalDuration: '5s' } },
    }),
  );
  const owned = started.move();
  let number = 0;

  const readAll = (path: string): Promise<HttpAnswer[]> =>
    Promise.all(cache.all.map((replica) => http(replica.edge, path)));

  return {
    cache,
    async expectSurvived({ toxic, stream, harmless = false }, object = 'cold') {
      // Breakers that another fault has opened, and what is in memory, are not this one's.
      await cache.restart();
      const key = `object-${number++}.bin`;
      const path = `/${BUCKET}/${key}`;
      const body = patternBytes(BODY_BYTES, number);
      await cache.put(key, body);
      const before = await cache.stored();
      // What the object is like is known: the fault strikes its bytes.
      for (const replica of cache.all) expect((await http(replica.edge, path, { method: 'HEAD' })).status).toBe(200);
      if (object === 'warm') {
        await readAll(path);
        await cache.idle();
        cache.forgetMemory();
      }
      const failed = async (): Promise<number> => {
        const answers = await Promise.all(SYMPTOMS[to].map(([metric, labels]) => cache.total(metric, labels)));
        return answers.reduce((sum, count) => sum + count, 0);
      };
      const failedBefore = await failed();

      for (const link of links) await link.add(toxic, stream);
      const ranged = { headers: { range: `bytes=${MIB - 10}-${MIB + 9}` } };
      const [range, reads] = await Promise.all([http(cache.all[0]!.edge, path, ranged), readAll(path)]);
      expectRightOrBroken(range, body.subarray(MIB - 10, MIB + 10), harmless);
      for (const read of reads) expectRightOrBroken(read, body, harmless);
      for (const link of links) await link.clear();
      const failures = (await failed()) - failedBefore;

      const isWell = async (): Promise<boolean> => (await readAll(path)).every((read) => isWhole(read, body));
      await expect.poll(isWell, { timeout: HEAL_LIMIT_MS, interval: 100 }).toBe(true);
      await cache.idle();
      const duplication = (await cache.total('orca_origin_bytes_total')) / body.length;
      const added = [...(await cache.stored())].filter(([name]) => !before.has(name));
      expect(added).toHaveLength(CHUNKS);
      for (const [name, file] of added) {
        const index = Number(name.slice(name.lastIndexOf('/') + 1));
        expect((await readFile(file)).equals(body.subarray(index * MIB, (index + 1) * MIB))).toBe(true);
      }
      await cache.expectNothingHeld();
      return { duplication, failures };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function isWhole(read: HttpAnswer, body: Uint8Array): boolean {
  return read.status === 200 && read.complete && sha256(read.body) === sha256(body);
}

/** `must`: no read may fail. */
function expectRightOrBroken(read: HttpAnswer, body: Uint8Array, must: boolean): void {
  if (must) expect([200, 206]).toContain(read.status);
  if (read.status === 200 || read.status === 206) {
    expect(read.body.equals(body.subarray(0, read.body.length))).toBe(true);
    expect(read.complete).toBe(read.body.length === body.length);
    if (must) expect(read.complete).toBe(true);
    return;
  }
  // No response at all, or one with Retry-After.
  expect([0, 503]).toContain(read.status);
  if (read.status === 503) expect(Number(read.headers['retry-after'])).toBeGreaterThan(0);
}
