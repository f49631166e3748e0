/** Injects one fault after the other, chosen by the seed. */
import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '#test/simulation/random.ts';
import type { Fault, FaultProxy } from '#test/support/fault-proxy.ts';
import { createGate } from '#test/support/gate.ts';
import type { SoakEnvironment } from './environment.ts';

const MIB = 1024 * 1024;
const MAX_PAUSE_MS = 8_000;
const MAX_STALL_MS = 8_000;
/** Short, because a longer outage opens circuit breakers, and then few other paths are exercised. */
const MAX_OUTAGE_MS = 3_000;
/** Longer than the other replicas need to detect a frozen one. */
const MAX_FREEZE_MS = 5_000;
/** Limit of consecutive responses that a fault affects. */
const MAX_AFFECTED = 5;
const MAX_DELETED_CHUNKS = 20;

export interface FaultsOptions {
  readonly environment: SoakEnvironment;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Whether workers are killed. */
  readonly killsWorkers: boolean;
  /** Counts a fault by its name. */
  readonly onFault: (name: string) => void;
  /** Creates another version of some object. */
  readonly change: () => void;
}

type RunFault = () => Promise<void>;

/** Runs one fault after another until the signal aborts. When it resolves, no fault is active. */
export async function runFaults(options: FaultsOptions): Promise<void> {
  const { environment, random, signal, killsWorkers, onFault } = options;
  const wait = (ms: number): Promise<void> =>
    delay(ms, undefined, { signal }).catch(() => {
      // The load has ended, which ends the fault too.
    });
  const faults: Readonly<Record<string, RunFault>> = {
    ...serverFaults('origin', environment.originProxy, random, wait),
    ...serverFaults('store', environment.storeProxy, random, wait),
    ...storeFaults(environment, random, wait),
    'a replica freezes': async () => {
      const replica = random.pick(environment.replicas);
      await replica.freeze();
      await wait(random.int(200, MAX_FREEZE_MS));
      await replica.thaw();
    },
    ...(killsWorkers && { 'a worker is killed': () => random.pick(environment.replicas).killWorker() }),
    'an object changes': async () => options.change(),
  };
  const names = Object.keys(faults);
  while (!signal.aborted) {
    await wait(random.int(100, MAX_PAUSE_MS));
    if (signal.aborted) break;
    const name = random.pick(names);
    onFault(name);
    await faults[name]!();
  }
}

type Wait = (ms: number) => Promise<void>;

/** Faults of any server behind a proxy. */
function serverFaults(name: string, proxy: FaultProxy, random: Random, wait: Wait): Record<string, RunFault> {
  const at = (): number => random.int(0, 4 * MIB);
  const stall = async (afterBytes: number): Promise<void> => {
    const gate = createGate();
    gate.hold();
    const times = random.int(1, MAX_AFFECTED);
    proxy.inject({ action: { kind: 'stall', afterBytes, gate }, times });
    await wait(random.int(200, MAX_STALL_MS));
    gate.release();
  };
  return {
    [`${name} cuts`]: async () => some(proxy, random, { when: isGet, action: { kind: 'cut', afterBytes: at() } }),
    [`${name} ends early`]: async () =>
      some(proxy, random, {
        when: isGet,
        action: { kind: 'shorten', toBytes: at(), framing: random.pick(['length', 'close', 'chunked']) },
      }),
    [`${name} stalls`]: () => stall(at()),
    [`${name} is silent`]: () => stall(0),
    [`${name} returns 500 for a while`]: () => outage(proxy, random, wait, { action: { kind: 'answer', status: 500 } }),
    [`${name} returns 503 sometimes`]: async () =>
      some(proxy, random, { action: { kind: 'answer', status: 503, headers: { 'retry-after': '1' } } }),
    [`${name} returns another ETag`]: async () =>
      some(proxy, random, {
        when: isGet,
        action: { kind: 'rewrite', headers: { etag: '"11112222333344445555666677778888"' } },
      }),
  };
}

/** Faults of uploads and of stored chunks. */
function storeFaults(environment: SoakEnvironment, random: Random, wait: Wait): Record<string, RunFault> {
  const { storeProxy } = environment;
  return {
    'store cuts uploads': async () =>
      some(storeProxy, random, { when: isPut, action: { kind: 'cut-upload', afterBytes: random.int(0, 2 * MIB) } }),
    'store is full': () => outage(storeProxy, random, wait, { when: isPut, action: { kind: 'answer', status: 507 } }),
    'chunks are deleted': async () => {
      const files = await environment.chunkFiles();
      for (let i = 0; i < MAX_DELETED_CHUNKS && files.length > 0; i++)
        await rm(random.pick(files).path, { force: true });
    },
    'a stored byte is flipped': async () => {
      const { path, sizeBytes } = random.pick([...(await environment.chunkFiles()), { path: '', sizeBytes: 0 }]);
      if (sizeBytes > 0) await environment.flipByte(path, random.int(0, sizeBytes)).catch(ignoreMissingFile);
    },
  };
}

/** Affects a few of the next responses. */
function some(proxy: FaultProxy, random: Random, fault: Fault): void {
  proxy.inject({ ...fault, times: random.int(1, MAX_AFFECTED) });
}

/** Affects all responses for some time. */
async function outage(proxy: FaultProxy, random: Random, wait: Wait, fault: Fault): Promise<void> {
  let isOver = false;
  proxy.inject({ ...fault, when: (request) => !isOver && (fault.when?.(request) ?? true) });
  await wait(random.int(200, MAX_OUTAGE_MS));
  isOver = true;
}

function isGet({ method }: { readonly method: string }): boolean {
  return method === 'GET';
}

function isPut({ method }: { readonly method: string }): boolean {
  return method === 'PUT';
}

/** The chunk was replaced or deleted since it was listed. */
function ignoreMissingFile(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
}
