/** What goes wrong, one thing after the other, all chosen by the seed. */
import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '#test/simulation/random.ts';
import type { Fault, FaultProxy } from '#test/support/fault-proxy.ts';
import { createGate } from '#test/support/gate.ts';
import type { Surroundings } from './surroundings.ts';

const MIB = 1024 * 1024;
const MAX_PAUSE_MS = 8_000;
const MAX_LENGTH_MS = 8_000;
/** Of a server that fails every request: a breaker stays open for longer, and then little else is tried. */
const MAX_OUTAGE_MS = 3_000;
/** A replica that is frozen for longer than the others take to notice. */
const MAX_FREEZE_MS = 5_000;
const MAX_SPOILED = 5;

export interface FaultsOptions {
  readonly around: Surroundings;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Counts a fault by its name. */
  readonly onFault: (name: string) => void;
  /** A known object that may get another version. */
  readonly change: () => void;
}

/** One fault after another until the signal aborts; all of them are over when it resolves. */
export async function runFaults({ around, random, signal, onFault, change }: FaultsOptions): Promise<void> {
  const { originProxy, storeProxy, replicas } = around;
  const lengthMs = (): number => random.int(200, MAX_LENGTH_MS);
  const wait = (ms: number): Promise<void> =>
    delay(ms, undefined, { signal }).catch(() => {
      // The end of the minute: whatever goes wrong ends with it.
    });

  /** The proxy spoils so many answers, or all of them for a while. */
  const some = (proxy: FaultProxy, fault: Fault) => async (): Promise<void> => {
    proxy.inject({ ...fault, times: random.int(1, MAX_SPOILED) });
  };
  const all = (proxy: FaultProxy, fault: Fault) => async (): Promise<void> => {
    let over = false;
    proxy.inject({ ...fault, when: (request) => !over && (fault.when?.(request) ?? true) });
    await wait(random.int(200, MAX_OUTAGE_MS));
    over = true;
  };
  const stall = (proxy: FaultProxy, afterBytes: number) => async (): Promise<void> => {
    const gate = createGate();
    gate.hold();
    const times = random.int(1, MAX_SPOILED);
    proxy.inject({ action: { kind: 'stall', afterBytes, gate }, times });
    await wait(lengthMs());
    gate.release();
  };

  const faults: Record<string, () => Promise<void>> = {};
  for (const [name, proxy] of [
    ['origin', originProxy],
    ['store', storeProxy],
  ] as const) {
    const get = (request: { readonly method: string }): boolean => request.method === 'GET';
    const at = (): number => random.int(0, 4 * MIB);
    Object.assign(faults, {
      [`${name} cuts`]: () => some(proxy, { when: get, action: { kind: 'cut', afterBytes: at() } })(),
      [`${name} ends early`]: () =>
        some(proxy, {
          when: get,
          action: { kind: 'shorten', toBytes: at(), framing: random.pick(['length', 'close', 'chunked']) },
        })(),
      [`${name} stalls`]: () => stall(proxy, at())(),
      [`${name} is silent`]: () => stall(proxy, 0)(),
      [`${name} answers 500 for a while`]: all(proxy, { action: { kind: 'answer', status: 500 } }),
      [`${name} answers 503 now and then`]: () =>
        some(proxy, { action: { kind: 'answer', status: 503, headers: { 'retry-after': '1' } } })(),
      [`${name} has another ETag`]: () =>
        some(proxy, {
          when: get,
          action: { kind: 'rewrite', headers: { etag: '"11112222333344445555666677778888"' } },
        })(),
    });
  }
  Object.assign(faults, {
    'store cuts uploads': () =>
      some(storeProxy, { when: isPut, action: { kind: 'cut-upload', afterBytes: random.int(0, 2 * MIB) } })(),
    'store is full': all(storeProxy, { when: isPut, action: { kind: 'answer', status: 507 } }),
    'chunks vanish': async () => {
      const files = await around.chunkFiles();
      for (let i = 0; i < 20 && files.length > 0; i++) await rm(random.pick(files).path, { force: true });
    },
    'a stored byte flips': async () => {
      const { path, sizeBytes } = random.pick([...(await around.chunkFiles()), { path: '', sizeBytes: 0 }]);
      if (sizeBytes > 0) await around.flip(path, random.int(0, sizeBytes)).catch(ignoreGone);
    },
    'a replica freezes': async () => {
      const replica = random.pick(replicas);
      replica.freeze();
      await wait(random.int(200, MAX_FREEZE_MS));
      replica.thaw();
    },
    'an object changes': async () => change(),
  });

  const names = Object.keys(faults);
  while (!signal.aborted) {
    await wait(random.int(100, MAX_PAUSE_MS));
    if (signal.aborted) break;
    const name = random.pick(names);
    onFault(name);
    await faults[name]!();
  }
}

function isPut({ method }: { readonly method: string }): boolean {
  return method === 'PUT';
}

/** A chunk that is replaced at this moment keeps its byte. */
function ignoreGone(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
}
