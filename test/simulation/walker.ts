/** Prewarms: a walker at one replica, as `cache/prewarm/` has it, and what must be true of each chunk that it has warmed. */
import type { Chunk } from '#cache/core/chunk.ts';
import { codeOf, OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import type { Ledger } from './ledger.ts';
import { describe } from './peers.ts';
import { BUCKET, type Incarnation } from './replica.ts';
import type { PrewarmPlan, Scenario } from './scenario.ts';
import type { SimStore } from './store.ts';
import type { World } from './world.ts';

const MAX_ATTEMPTS = 6;
const PAUSE_MS = 500;
/** What a walker may be notified of: outages, the object, and that there is no room. */
const EXPECTED: readonly ErrorCode[] = [
  'overloaded',
  'store_unavailable',
  'origin_unavailable',
  'origin_throttled',
  'origin_denied',
  'access_denied',
  'not_found',
  'object_changed',
];

export interface WalkersOptions {
  readonly world: World;
  readonly scenario: Scenario;
  readonly store: SimStore;
  readonly ledger: Ledger;
}

export class Walkers {
  readonly #options: WalkersOptions;
  readonly #running = new Map<AbortController, Incarnation>();
  warmed = 0;
  originBytes = 0;

  constructor(options: WalkersOptions) {
    this.#options = options;
  }

  start(plan: PrewarmPlan, process: Incarnation): void {
    const { world } = this.#options;
    const stop = new AbortController();
    this.#running.set(stop, process);
    world.note('prewarm', `${process.owner.name} warms ${plan.keys.join(' ')}`);
    world.at(plan.forMs, process.owner, 'suspend', () => abort(stop));
    void this.#walk(plan, process, stop.signal).finally(() => this.#running.delete(stop));
  }

  /** Suspends all of them: whatever they wait for ends at once. */
  async stop(): Promise<void> {
    const { world } = this.#options;
    for (const stop of this.#running.keys()) abort(stop);
    await world.run(world.nowMs + 1);
    const [stuck] = this.#running.values().filter(({ owner }) => owner.state !== 'dead');
    if (stuck !== undefined)
      world.violate('no wait is without a bound', `a prewarm at ${stuck.owner.name} does not end`);
  }

  async #walk({ keys, parallelism }: PrewarmPlan, process: Incarnation, signal: AbortSignal): Promise<void> {
    const { warm } = process.engine;
    for (const key of keys) {
      const object = await this.#attempt(process, signal, () => warm.resolve({ bucket: BUCKET, key }, signal));
      if (object === undefined) continue;
      let next = 0;
      const worker = async (): Promise<void> => {
        while (next < object.count && !signal.aborted) {
          const chunk = object.chunkAt(next++);
          await this.#attempt(process, signal, () => this.#warm(process, chunk, signal));
        }
      };
      await Promise.all(Array.from({ length: parallelism }, worker));
    }
  }

  async #warm({ engine, owner }: Incarnation, chunk: Chunk, signal: AbortSignal): Promise<void> {
    const { world, ledger } = this.#options;
    const sinceMs = world.nowMs;
    ledger.wanted(chunk, { from: 0, to: chunk.lengthBytes }, true);
    const isStored = await engine.warm.isStored(chunk, signal);
    const call = { knownAbsent: true, requestId: `prewarm-${owner.name}`, signal };
    const { originBytes } = isStored ? { originBytes: 0 } : await engine.warm.chunk(chunk, call);
    world.note('warmed', `${owner.name} ${chunk.path} for ${originBytes} bytes`);
    this.#check(chunk, originBytes, sinceMs);
  }

  #check({ path, lengthBytes }: Chunk, originBytes: number, sinceMs: number): void {
    const { world, store, ledger } = this.#options;
    this.warmed++;
    this.originBytes += originBytes;
    if (!store.isBad(path) && !store.wasIntact(path, sinceMs))
      world.violate('what is warmed is stored', `${path} counts as warmed, and was not in the cachestore`);
    if (originBytes > lengthBytes || this.originBytes > ledger.totalBytes)
      world.violate('all is counted', `${originBytes} bytes were read for the ${lengthBytes} bytes of ${path}`);
  }

  /** Undefined after the last failure, or when the prewarm is suspended. */
  async #attempt<T>(
    { clock, owner }: Incarnation,
    signal: AbortSignal,
    call: () => Promise<T>,
  ): Promise<T | undefined> {
    const { world } = this.#options;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS && !signal.aborted; attempt++) {
      try {
        return await call();
      } catch (error) {
        if (signal.aborted) return undefined;
        const code = codeOf(error);
        world.note('not warmed', `${owner.name}: ${code}`);
        if (!EXPECTED.includes(code)) world.violate('errors are named', `a prewarm ends with ${describe(error)}`);
        await clock.sleep(attempt * PAUSE_MS, signal).catch(() => {});
      }
    }
    return undefined;
  }
}

function abort(stop: AbortController): void {
  stop.abort(new OrcaError('cancelled', 'the prewarm is suspended'));
}
