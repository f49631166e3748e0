/**
 * Two replicas count and evict the chunks of one cachestore: each sweeps its own shards, and both know the whole account
 * from the reports between them. The capacity changes while they run.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { patternBytes } from '#test/support/chunks.ts';
import { http } from '#test/support/http.ts';
import { BUCKET, MIB, startReplicas, type Replica, type Replicas } from '#test/support/replicas.ts';

const OBJECTS = 12;
/** The shortest; reports are sent four times as often. */
const LIMITS = { sweepInterval: '10s', minAge: '0s' };
/** Some sweep intervals, on a machine that does other things. */
const LIMIT_MS = 90_000;

interface Account {
  readonly state: string;
  readonly usedBytes: number;
  readonly chunks: number;
  readonly capacityBytes?: number;
  readonly byBucket: Readonly<Record<string, number>>;
}

let directory: string;
let runtimeFile: string;
let cache: Replicas;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'orca-runtime-'));
  runtimeFile = join(directory, 'runtime.yaml');
  await writeFile(runtimeFile, stringify({ cacheStore: LIMITS }));
  cache = await startReplicas({ replicas: 2, changes: { runtimeFile } });
  for (let index = 0; index < OBJECTS; index++) await cache.put(`object-${index}`, bodyOf(index));
});
afterAll(async () => {
  await cache[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

function bodyOf(index: number): Buffer {
  return patternBytes(MIB - index);
}

async function readAll(): Promise<void> {
  for (let index = 0; index < OBJECTS; index++) {
    const { edge } = cache.all[index % 2]!;
    const answer = await http(edge, `/${BUCKET}/object-${index}`);
    expect([answer.status, answer.body.equals(bodyOf(index))]).toEqual([200, true]);
  }
  await cache.idle();
}

async function accountOf({ ops }: Replica): Promise<Account> {
  return JSON.parse((await http(ops, '/store')).body.toString()) as Account;
}

/** Waits until it is so of both accounts, and they agree. */
async function counted(isSo: (account: Account) => boolean): Promise<Account> {
  let accounts: Account[] = [];
  await expect
    .poll(
      async () => {
        accounts = await Promise.all(cache.all.map(accountOf));
        const [one, other] = accounts;
        return accounts.every(isSo) && one?.usedBytes === other?.usedBytes ? 'agreed' : accounts;
      },
      { timeout: LIMIT_MS, interval: 500 },
    )
    .toBe('agreed');
  return accounts[0]!;
}

test('both replicas know the account of the whole cachestore, and a lower capacity is reached without a restart', async () => {
  await readAll();
  const all = await counted(({ state, chunks }) => state === 'ok' && chunks === OBJECTS);
  expect(all.usedBytes).toBeGreaterThan(OBJECTS * (MIB - OBJECTS));
  expect(Object.values(all.byBucket).reduce((sum, bytes) => sum + bytes, 0)).toBe(all.usedBytes);
  expect(all).not.toHaveProperty('capacityBytes');

  for (const call of ['/internal/reads', '/internal/usage'])
    expect(await cache.total('orca_peer_requests_total', { call, outcome: 'ok' })).toBeGreaterThan(0);

  const capacityBytes = 8 * MIB;
  await writeFile(runtimeFile, stringify({ cacheStore: { ...LIMITS, capacity: capacityBytes, lowWatermark: 60 } }));
  const evicted = await counted(({ usedBytes, chunks }) => chunks < OBJECTS && usedBytes <= 0.9 * capacityBytes);
  expect(evicted.capacityBytes).toBe(capacityBytes);
  expect((await cache.stored()).size).toBeLessThan(OBJECTS);
  expect(await cache.total('orca_store_evicted_bytes_total', { reason: 'capacity' })).toBeGreaterThan(4 * MIB);

  // What was evicted is read from the origin, and stored again.
  cache.forgetMemory();
  await readAll();
}, 240_000);
