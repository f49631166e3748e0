/**
 * One run: real engines in a simulated world, with a workload and faults that are derived from one seed, and the oracle
 * that judges it. The same seed produces the same run, event for event.
 */
import { STORE_TROUBLE } from './allowed.ts';
import { chunkPathPrefix, chunkSizeFor } from '#cache/core/chunk.ts';
import { hasCode } from '#cache/core/errors.ts';
import { Clients, type Exchange } from './client.ts';
import { CapacityOracle } from './capacity-oracle.ts';
import { Cluster } from './cluster.ts';
import { Faults } from './faults.ts';
import { Ledger, type Excuses, type Moment } from './ledger.ts';
import { SimOrigin } from './origin.ts';
import { describe, SimPeers } from './peers.ts';
import { randomOf, type Random } from './random.ts';
import { ORIGIN_BUCKET, podBudgetBytes, stopLoops, type Incarnation } from './replica.ts';
import {
  KIB,
  scenarioOf,
  type CapacityPlan,
  type ClientPlan,
  type Fault,
  type FaultWindow,
  type PinPlan,
  type PrewarmPlan,
  type Scenario,
} from './scenario.ts';
import { recordSignals } from './signals.ts';
import { SimStore } from './store.ts';
import { Walkers } from './walker.ts';
import { EPOCH_MS, NO_OWNER, World, type Violation } from './world.ts';

export interface RunResult {
  readonly seed: number;
  readonly scenario: Scenario;
  readonly violation: Violation | undefined;
  /** Equal for equal runs. */
  readonly traceHash: string;
  readonly stats: RunStats;
}

export interface RunStats {
  readonly events: number;
  readonly virtualMs: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly longestMs: number;
  readonly servedBytes: number;
  readonly originBytes: number;
  readonly repeatedBytes: number;
  readonly peerCalls: number;
}

/** The maximum duration of a request after the faults have ended: 20 MiB read at 20 KB/s. */
const SETTLE_MS = 1_200_000;
/** After this time, breakers probe again, dead peers are tried again, and heads have expired. */
const RECOVERY_MS = 75_000;
/** How long outdated information on a chunk or a peer may still be used: after a slow cachestore call, */
const RACE_MS = 5_000;
/** after a store call without an answer, */
const STORE_PATIENCE_MS = 30_000;
/** or after the wait for memory. */
const MEMORY_WAIT_MS = 65_000;
/** From the refusal of a breaker until the client receives the error. */
const BREAKER_ECHO_MS = 2_000;
/** The number of attempts of an SDK. */
const FINAL_ATTEMPTS = 5;
/** Enough to cross the border of a block, and sometimes that of a chunk. */
const FINAL_RANGE_BYTES = 300 * KIB;
/** One eighth is reserved for streaming windows. */
const FILL_SHARE = 7 / 8;
/** Fills without readers may keep this share of the slots at the origin while others wait, and hold this share of memory. */
const BACKGROUND_SLOTS = 1 / 20;
const BACKGROUND_MEMORY = 1 / 4;
/** One second, plus a margin. */
const PREEMPTED_MS = 1_100;
/** With three replicas, one of them has this many chunks by chance in one of 3^15 runs. */
const SPREAD_CHUNKS = 16;
/** Timers that may still be running, such as that of an abandoned fill (2 s). */
const LAST_TIMERS_MS = 5_000;
/** What other caches and other software have in the cachestore. */
const FOREIGN_NAMES = [
  'other/00/0',
  `far-2/${'0a'.repeat(32)}/0`,
  'far/readme',
  `far/${'0a'.repeat(32)}/00`,
  '_orca/else',
];
const FOREIGN_BYTES = 100;
/** Sweeps that count, evict, and count again; and reports of minutes, with their margins. */
const QUIET_SWEEPS = 4;
const QUIET_MS = 180_000;

export async function simulate(seed: number, log?: (line: string) => void): Promise<RunResult> {
  using _signals = recordSignals();
  const run = new Run(scenarioOf(seed), log);
  const onRejection = (error: unknown): void => run.world.violate('no error is lost', describe(error));
  process.on('unhandledRejection', onRejection);
  try {
    await run.all();
  } finally {
    process.removeListener('unhandledRejection', onRejection);
  }
  return run.result();
}

class Run {
  readonly world: World;
  readonly #scenario: Scenario;
  readonly #random;
  readonly #faults: Faults;
  readonly #ledger: Ledger;
  readonly #capacity: CapacityOracle;
  readonly #origin: SimOrigin;
  readonly #store: SimStore;
  readonly #peers: SimPeers;
  readonly #clients: Clients;
  readonly #walkers: Walkers;
  readonly #cluster: Cluster;
  readonly #raceMs: number;
  /** The last moment at which views differed, or a replica in them did not answer. */
  #unstableOrder = -1;
  #unstableMs = -Infinity;
  /** The last moment at which a replica's breaker kept it from the origin. */
  #breakerMs = -Infinity;
  #isQuiet = false;

  constructor(scenario: Scenario, log: ((line: string) => void) | undefined) {
    this.#scenario = scenario;
    this.#random = randomOf(scenario.seed, 'run');
    this.#raceMs = raceOf(scenario);
    const world = (this.world = new World(log));
    this.#faults = new Faults(world, scenario, this.#random.fork('strikes'));
    this.#ledger = new Ledger(world, this.#raceMs, isFaultless(scenario), (path, since, later) =>
      this.#excuses(path, since, later),
    );
    this.#origin = new SimOrigin(world, scenario, this.#faults, this.#ledger, this.#random.fork('origin'), {
      isStable: () => this.#cluster.isStable() && world.nowMs - this.#unstableMs > this.#raceMs,
    });
    this.#capacity = new CapacityOracle(world, scenario);
    const capacityRandom = this.#random.fork('capacity');
    this.#store = new SimStore(world, scenario, this.#faults, this.#ledger, this.#origin, this.#random.fork('store'), {
      oracle: this.#capacity,
      random: capacityRandom.fork('store'),
      onRemoved: (who) => this.#mayCrash(who, capacityRandom),
    });
    this.#clients = new Clients({
      world,
      scenario,
      origin: this.#origin,
      store: this.#store,
      ledger: this.#ledger,
      capacity: this.#capacity,
      random: this.#random.fork('connections'),
      isOriginAsked: () => world.nowMs - this.#breakerMs > BREAKER_ECHO_MS,
    });
    this.#walkers = new Walkers({ world, scenario, store: this.#store, ledger: this.#ledger });
    this.#peers = new SimPeers({
      world,
      store: this.#store,
      scenario,
      faults: this.#faults,
      ledger: this.#ledger,
      random: this.#random.fork('peers'),
      capacityRandom: capacityRandom.fork('reports'),
      replicaAt: (address) => this.#cluster.replicaAt(address),
      isPod: (ip) => this.#cluster.isPod(ip),
      progressOf: (requestId) => this.#clients.progressOf(requestId),
    });
    this.#cluster = new Cluster({
      world,
      scenario,
      peers: this.#peers,
      random: this.#random,
      workerRandom: this.#random.fork('workers'),
      parts: {
        world,
        scenario,
        origin: this.#origin,
        store: this.#store,
        peers: this.#peers,
        ledger: this.#ledger,
        capacity: this.#capacity,
        random: this.#random.fork('engines'),
      },
      onDrained: (process) => this.#drained(process),
    });
    world.afterEach(() => this.#check());
  }

  async all(): Promise<void> {
    const { world } = this;
    const scenario = this.#scenario;
    for (const { key, sizeBytes } of scenario.objects) this.#origin.put(key, sizeBytes);
    this.#cluster.start(scenario.replicas);
    for (const window of scenario.windows) this.#schedule(window);
    for (
      let atMs = scenario.evictEveryMs ?? Infinity;
      atMs < scenario.activeMs;
      atMs += scenario.evictEveryMs ?? Infinity
    )
      world.at(atMs, NO_OWNER, 'evict', () => this.#evict());
    if (scenario.capacity !== undefined) this.#scheduleCapacity(scenario.capacity);
    for (const plan of scenario.clients) world.at(plan.atMs, NO_OWNER, 'arrival', () => this.#arrive(plan));
    for (const plan of scenario.prewarms) world.at(plan.atMs, NO_OWNER, 'prewarm', () => this.#prewarm(plan));
    await world.run(scenario.activeMs);
    this.#heal();
    if (scenario.prewarms.length > 0) await this.#walkers.stop();
    await this.#settle('requests end', () => this.#clients.running.size === 0);
    await world.run(Math.max(world.nowMs, rollsEndMs(scenario)) + RECOVERY_MS);
    this.#cluster.checkAgreement();
    if (isFaultless(scenario)) this.#ledger.checkSparse(scenario.isCalm);
    await this.#readEverythingAgain();
    await this.#settle('fills end', () => this.#cluster.live().every(isIdle));
    if (scenario.capacity !== undefined) await this.#checkCapacity(scenario.capacity);
    await this.#shutDown();
  }

  result(): RunResult {
    const { world } = this;
    return {
      seed: this.#scenario.seed,
      scenario: this.#scenario,
      violation: world.violation,
      traceHash: world.traceHash(),
      stats: {
        events: world.order,
        virtualMs: Math.round(world.nowMs),
        outcomes: this.#clients.outcomes,
        longestMs: Math.round(this.#clients.longestMs),
        servedBytes: this.#clients.servedBytes,
        originBytes: this.#ledger.totalBytes,
        repeatedBytes: this.#ledger.repeatedBytes,
        peerCalls: this.#peers.calls,
      },
    };
  }

  /** Further excuses for a byte that two fills fetch, which began at `since` and `later`. */
  #excuses(path: string, since: Moment, later: Moment): Excuses {
    const intactMs = this.#store.intactSinceMs(path);
    // The replica that fills may have been chosen a while before its first origin request.
    const isStable =
      this.#cluster.isStable() && this.#unstableOrder < since.order && since.atMs - this.#unstableMs > this.#raceMs;
    return {
      store: this.#storeExcuse(path),
      replicas: isStable ? undefined : 'replicas differed over who has to fill',
      isStored: intactMs !== undefined && later.atMs - intactMs > this.#raceMs,
    };
  }

  #storeExcuse(path: string): string | undefined {
    const closed = this.#cluster.live().find(({ engine }) => engine.store.breaker.state !== 'closed');
    if (closed !== undefined) return `${closed.owner.name} has an open cachestore breaker`;
    // A corrupt chunk is overwritten once in ten minutes; until then it is filled for each reader, and not committed.
    return this.#store.isBad(path) ? 'the cachestore’s copy is corrupt' : undefined;
  }

  // -- faults

  #schedule(window: FaultWindow): void {
    const { world } = this;
    const times = (fromMs: number, action: () => void): void => {
      world.at(fromMs, NO_OWNER, window.fault, action);
    };
    const random = this.#random.fork(`${window.fault} ${window.fromMs} ${window.which}`);
    const repeat = (action: () => void): void => {
      for (let atMs = window.fromMs; atMs < window.toMs; atMs += random.int(200, 5_000)) times(atMs, action);
    };
    switch (window.fault) {
      case 'store-vanish':
        repeat(() => this.#store.vanish());
        break;
      case 'store-flip':
        repeat(() => this.#store.flip());
        break;
      case 'store-truncate':
        repeat(() => this.#store.truncate());
        break;
      case 'overwrite':
        repeat(() => this.#overwrite(window, random));
        break;
      case 'remove':
        times(window.fromMs, () => this.#origin.remove(this.#objectOf(window).key));
        times(window.toMs, () => this.#overwrite(window, random));
        break;
      case 'clock-step': {
        const stepMs = Math.round((window.way < 0.5 ? -1 : 1) * random.magnitude(1_000, 600_000));
        times(window.fromMs, () => {
          const process = this.#cluster.victim(window);
          if (process === undefined) return;
          // The workers of a pod have the clock of their node.
          for (const worker of this.#cluster.workersWith(process)) worker.offsetMs += stepMs;
          this.#ledger.excuseAll(`the clock of ${process.owner.name} steps by ${stepMs} ms`);
        });
        break;
      }
      case 'freeze':
        times(window.fromMs, () => this.#cluster.freeze(window, random.int(100, 15_000)));
        break;
      case 'partition':
        times(window.fromMs, () => this.#cluster.partition(window));
        break;
      case 'crash':
        times(window.fromMs, () => this.#cluster.crash(window, random.int(500, 20_000)));
        break;
      case 'leave':
        times(window.fromMs, () => this.#cluster.leave(window));
        break;
      case 'join':
        times(window.fromMs, () => this.#cluster.join());
        break;
      case 'skew':
        times(window.fromMs, () => this.#cluster.skew(window));
        break;
      case 'worker-crash':
        repeat(() => this.#cluster.crashWorker(random.next()));
        break;
      default:
        // All other faults affect single calls.
        break;
    }
  }

  #objectOf(window: FaultWindow): Scenario['objects'][number] {
    const { objects } = this.#scenario;
    return objects[Math.floor(window.which * objects.length)]!;
  }

  #overwrite(window: FaultWindow, random: Random): void {
    const { key, sizeBytes } = this.#objectOf(window);
    this.#origin.put(key, random.chance(0.6) ? sizeBytes : Math.round(sizeBytes * random.next() * 1.2) + 1);
  }

  /** Between a removal and what the replica records of it. */
  #mayCrash(process: Incarnation, random: Random): void {
    const window = this.#faults.window('evictor-crash');
    if (window === undefined || !random.chance(window.probability / 4)) return;
    const [isNoticed, downMs] = [random.chance(0.5), random.int(500, 20_000)];
    this.world.at(random.chance(0.5) ? 0 : random.magnitude(0.1, 500), NO_OWNER, 'crash', () => {
      this.#cluster.crashProcess(process, isNoticed, downMs);
    });
  }

  #drained(process: Incarnation): void {
    // A HEAD may still be in flight after its client has left, and a file operation may not have returned.
    const { limiter } = process.engine;
    const { hungOperations = 0 } = process.owner;
    if (isIdle(process) && limiter.running + limiter.queued + hungOperations === 0) this.#checkGivenBack(process);
  }

  #scheduleCapacity({ pins, overwrites }: CapacityPlan): void {
    const { world } = this;
    for (const name of FOREIGN_NAMES) this.#store.plant(name, new Uint8Array(FOREIGN_BYTES));
    const act = (atMs: number, replica: number, what: string, action: (at: Incarnation) => Promise<void>): void => {
      world.at(atMs, NO_OWNER, what, () => {
        const running = this.#cluster.live().filter(({ owner }) => owner.state === 'running');
        const process = running[Math.floor(replica * running.length)];
        if (process === undefined) return;
        action(process).catch((error: unknown) => {
          world.note(what, `${process.owner.name}: ${String(error)}`);
          if (!process.stop.signal.aborted && !hasCode(error, 'store_unavailable', 'cancelled'))
            world.violate('errors are named', `${what} ends with ${describe(error)}`);
        });
      });
    };
    for (const pin of pins) {
      act(pin.atMs, pin.replica, 'pin', (process) => this.#pin(process, pin));
      if (pin.removedMs !== undefined)
        act(pin.removedMs, pin.replica, 'unpin', ({ engine, stop }) =>
          engine.capacity.pins.remove(pin.name, stop.signal),
        );
    }
    for (const { atMs, which } of overwrites)
      world.at(atMs, NO_OWNER, 'overwrite', () => {
        const { key, sizeBytes } = this.#scenario.objects[Math.floor(which * this.#scenario.objects.length)]!;
        this.#origin.put(key, sizeBytes);
      });
  }

  #pin({ engine, stop }: Incarnation, { name, keys, expiresMs }: PinPlan): Promise<void> {
    const { chunkBytes, tiers, capacity } = this.#scenario;
    const versions = new Map<string, number>();
    for (const key of keys) {
      const current = this.#origin.current(key);
      if (current === undefined) continue;
      const object = { originId: 'far', bucket: ORIGIN_BUCKET, key, etag: current.etag };
      const prefix = chunkPathPrefix(object, chunkSizeFor(current.sizeBytes, chunkBytes, tiers));
      versions.set(prefix.split('/')[1]!, current.sizeBytes);
    }
    const storeMs = expiresMs === undefined ? undefined : EPOCH_MS + expiresMs + (capacity?.clockOffsetMs ?? 0);
    this.#capacity.planPin(name, { hexes: new Set(versions.keys()), expiresMs: storeMs });
    return engine.capacity.pins.put(
      {
        name,
        expiresMs: storeMs ?? null,
        versions: [...versions].map(([versionHex, sizeBytes]) => ({ versionHex, sizeBytes })),
      },
      stop.signal,
    );
  }

  /** Nothing is read or written any more: eviction ends within a few sweeps and reports. */
  async #checkCapacity({ settings }: CapacityPlan): Promise<void> {
    const { world } = this;
    if (world.violation !== undefined) return;
    const { minAgeMs, sweepIntervalMs } = settings;
    const evictedBefore = { ...this.#capacity.evictedBytes };
    this.#isQuiet = true;
    await world.run(world.nowMs + minAgeMs + QUIET_SWEEPS * sweepIntervalMs + QUIET_MS);
    // Chunks become idle at any time; but nothing is written, so this has an end.
    while (this.#capacity.isReporting && world.violation === undefined) await world.run(world.nowMs + QUIET_MS);
    this.#isQuiet = false;
    if (world.violation === undefined)
      this.#capacity.checkQuiet(this.#cluster.live(), this.#store.stored(), evictedBefore);
  }

  #heal(): void {
    this.#faults.heal();
    this.world.note('heal', '');
    for (const { key, sizeBytes } of this.#scenario.objects)
      if (this.#origin.current(key) === undefined) this.#origin.put(key, sizeBytes);
    this.#cluster.heal();
  }

  /** Evicts as the demand of other readers would. */
  #evict(): void {
    for (const { engine } of this.#cluster.live()) if (this.#random.chance(0.7)) engine.memoryTier.evict(Infinity);
    this.#ledger.evicted();
  }

  // -- the workload

  #arrive(plan: ClientPlan): void {
    const process = pickOne(this.#cluster.reachable(), plan.replica);
    if (process !== undefined) void this.#clients.start(plan, process);
  }

  #prewarm(plan: PrewarmPlan): void {
    const process = pickOne(this.#cluster.reachable(), plan.replica);
    if (process !== undefined) this.#walkers.start(plan, process);
  }

  /** After the faults, every object is readable through every replica: as a whole through one, and a range through each. */
  async #readEverythingAgain(): Promise<void> {
    const serving = this.#cluster.serving();
    for (const [at, process] of serving.entries())
      for (const [number, { key }] of this.#scenario.objects.entries()) {
        const sizeBytes = this.#origin.current(key)?.sizeBytes ?? 0;
        const from = this.#random.int(0, Math.max(sizeBytes, 1));
        const isWhole = (at + number) % serving.length === 0 || sizeBytes === 0;
        const range = isWhole ? undefined : { from, to: from + this.#random.int(1, FINAL_RANGE_BYTES) };
        if (this.world.violation === undefined) await this.#readAgain(process, key, range, `final-${at}-${key}`);
      }
  }

  async #readAgain(process: Incarnation, key: string, range: ClientPlan['range'], id: string): Promise<void> {
    const { world } = this;
    let last: Exchange | undefined;
    for (let attempt = 1; attempt <= FINAL_ATTEMPTS && world.violation === undefined; attempt++) {
      const plan: ClientPlan = { ...FINAL_PLAN, key, range, id: `${id}-${attempt}`, atMs: world.nowMs };
      void this.#clients.start(plan, process, true).then((exchange) => (last = exchange));
      await this.#settle(`${plan.id} ends`, () => this.#clients.running.size === 0);
      // A head that is still valid may be that of a smaller version.
      if (last?.outcome === 'complete' || last?.failure?.code === 'range_not_satisfiable') return;
      await world.run(world.nowMs + Math.max(last?.retryAfterMs ?? 0, 1_000));
    }
    world.violate(
      'what is well is served',
      `${id} fails with ${last?.failure?.code ?? last?.outcome} after all faults have ended`,
    );
  }

  async #settle(what: string, done: () => boolean): Promise<void> {
    const { world } = this;
    if (world.violation !== undefined) return;
    await world.run(world.nowMs + SETTLE_MS, done);
    if (world.violation === undefined && !done()) world.violate('no wait is without a bound', `never: ${what}`);
  }

  // -- the oracle

  /** After each event. */
  #check(): void {
    const live = this.#cluster.live();
    if (!this.#cluster.isStable(live)) {
      this.#unstableOrder = this.world.order;
      this.#unstableMs = this.world.nowMs;
    }
    if (live.some(hasOpenBreaker)) this.#breakerMs = this.world.nowMs;
    this.#clients.checkBounds();
    // Sweeps are most of the events: at rest no client's bytes change.
    if (!this.#isQuiet) for (const process of live) this.#checkProcess(process);
    if (this.#scenario.capacity !== undefined) for (const process of live) this.#capacity.check(process);
  }

  #checkProcess(process: Incarnation): void {
    const { world } = this;
    const { engine, owner } = process;
    const { memory, memoryTier, flights, outbox, sparse, limiter } = engine;
    if (memory.usedBytes > memory.budgetBytes || memory.usedBytes < 0)
      world.violate('memory is bounded', `${owner.name} uses ${memory.usedBytes} of ${memory.budgetBytes} bytes`);
    const pod = this.#cluster.replicaAt(process.address)!.pod;
    if (memory.budgetBytes * pod.replicas.length > podBudgetBytes(this.#scenario, pod))
      world.violate('memory is bounded', `each worker of ${pod.ip} may use ${memory.budgetBytes} bytes`);
    if (memoryTier.sizeBytes > memory.usedBytes)
      world.violate('memory is bounded', `${owner.name} keeps ${memoryTier.sizeBytes} of ${memory.usedBytes} bytes`);
    if (outbox.sizeBytes > memory.budgetBytes / 4)
      world.violate('memory is bounded', `the outbox of ${owner.name} holds ${outbox.sizeBytes} bytes`);
    if (limiter.running > Math.max(limiter.slots, this.#scenario.targetGlobal))
      world.violate('no queue is without a limit', `${owner.name} has ${limiter.running} requests at the origin`);
    if (process.observedBytes !== process.deliveredBytes)
      world.violate(
        'all is counted',
        `${owner.name} counts ${process.observedBytes} of ${process.deliveredBytes} bytes of the origin`,
      );
    // Each request waits for at most one lease, or its fill or sparse read does; read-ahead never waits.
    const waiting = memory.waiting('new') + memory.waiting('started');
    if (waiting > process.serving + flights.count + sparse.running)
      world.violate(
        'no queue is without a limit',
        `${waiting} wait for the memory of ${owner.name}, which serves ${process.serving}`,
      );
    if (memory.usedBy('fill') > memory.budgetBytes * FILL_SHARE)
      world.violate(
        'memory is bounded',
        `${owner.name} fills with ${memory.usedBy('fill')} bytes: nothing is left to read through`,
      );
    for (const path of process.toldMissing.splice(0))
      if (engine.catalog.has(path))
        world.violate('what is forgotten stays forgotten', `${owner.name} still believes ${path} to be stored`);
    const lost = process.lostFills.splice(0);
    for (const [path, { flight }] of process.flights) {
      if (flights.get(path) === flight) continue;
      process.flights.delete(path);
      process.waiting.add(path);
    }
    this.#excuseDropped(process);
    this.#checkBackground(process);
    // It is not reported which of the pending commits was dropped.
    // As long as its memory is not needed, a fill does not end because its readers have left.
    const reasons = lost.filter((outcome) => outcome !== 'cancelled' || this.#scenario.faults.has('pressure'));
    if (reasons.length > 0)
      for (const path of process.waiting) {
        if (this.#store.intactSinceMs(path) !== undefined) process.waiting.delete(path);
        else this.#ledger.excuse(path, 'fill', `a fill ended as ${reasons.join(', ')}`);
      }
    // On a slow connection, a slot may not become free in time, which is reported as overload.
    const mayBeLate = limiter.running >= limiter.slots;
    if (lost.some((outcome) => outcome !== 'cancelled') && this.#scenario.isCalm && !mayBeLate)
      world.violate('one fill per chunk', `a fill ended as ${lost.join(', ')} without any fault`);
  }

  /** A store in trouble does not keep up: chunks that wait for their commit may be evicted from memory. */
  #excuseDropped({ engine, waiting }: Incarnation): void {
    if (STORE_TROUBLE.every((fault) => !this.#scenario.faults.has(fault))) return;
    for (const path of waiting)
      if (!engine.memoryTier.has(path) && this.#store.intactSinceMs(path) === undefined)
        this.#ledger.excuse(path, 'fill', 'it left memory before its commit');
  }

  /** Fills without readers are preempted: in memory at once, at the origin after a moment. */
  #checkBackground(process: Incarnation): void {
    const { world } = this;
    const { engine, owner } = process;
    const { memory, limiter } = engine;
    if (owner.state !== 'running') {
      // It cannot act.
      process.crowdedMs = undefined;
      return;
    }
    const sizes = [...process.flights.values()].map(({ flight }) =>
      flight.isBackground && flight.arrivedBytes < flight.chunk.lengthBytes ? (flight.bytes?.sizeBytes ?? 0) : 0,
    );
    const usedBytes = sizes.reduce((sum, bytes) => sum + bytes, 0);
    if (usedBytes > Math.max(memory.budgetBytes * BACKGROUND_MEMORY, ...sizes))
      world.violate('abandoned fills are preempted', `${owner.name} fills ${usedBytes} bytes without readers`);
    const waiting = memory.waiting('new') + memory.waiting('started');
    if (waiting > 0 && usedBytes > 0)
      world.violate('abandoned fills are preempted', `${waiting} wait for ${usedBytes} bytes of fills without readers`);
    const reading = process.reading.filter((flight) => flight.isBackground).length;
    const warming = process.reading.filter(({ isWarm, wasRead }) => isWarm && !wasRead).length;
    // Otherwise clients may leave meanwhile, or the number of replicas may change.
    if (this.#scenario.isCalm && warming > Math.ceil(limiter.slots / 2))
      world.violate(
        'a prewarm leaves slots to clients',
        `${owner.name} warms with ${warming} of ${limiter.slots} requests at the origin`,
      );
    const isCrowded = limiter.queued > 0 && reading > Math.floor(limiter.slots * BACKGROUND_SLOTS);
    process.crowdedMs = isCrowded ? (process.crowdedMs ?? world.nowMs) : undefined;
    if (process.crowdedMs !== undefined && world.nowMs - process.crowdedMs > PREEMPTED_MS)
      world.violate(
        'abandoned fills are preempted',
        `${limiter.queued} wait for the slots of ${reading} requests without readers`,
      );
  }

  /** The chunks of one object are spread over the replicas. */
  #checkSpread(): void {
    if (!this.#scenario.isCalm) return;
    for (const [prefix, fills] of this.#origin.fillers)
      if (fills.paths.size >= SPREAD_CHUNKS && fills.by.size < 2)
        this.world.violate('work is spread', `one replica fills all ${fills.paths.size} chunks of ${prefix}`);
  }

  async #shutDown(): Promise<void> {
    const { world } = this;
    if (world.violation !== undefined) return;
    for (const process of this.#cluster.live()) stopLoops(process);
    // Timers set before may still fire once; no new timer may be set.
    await world.run(world.nowMs + LAST_TIMERS_MS);
    for (const process of this.#cluster.live()) {
      this.#checkGivenBack(process);
      if (process.timers.size > 0)
        world.violate('everything is released', `${process.owner.name} is left with ${process.timers.size} timers`);
    }
    this.#checkSpread();
    if (isFaultless(this.#scenario)) this.#origin.bill.check(world);
    if (this.#scenario.isCalm && this.#ledger.repeatedBytes > 0)
      world.violate('one fill per chunk', `${this.#ledger.repeatedBytes} bytes came twice`);
  }

  /** Nothing runs any more, so no resource may be held. */
  #checkGivenBack(process: Incarnation): void {
    const { world } = this;
    const { engine, owner } = process;
    const { memory, memoryTier, limiter, outbox, flights, storeLoads, peerStreams, sparse } = engine;
    const left = {
      'fills in the table': flights.count,
      'cachestore loads in flight': storeLoads.count,
      'peer streams in flight': peerStreams.count,
      'sparse reads': sparse.running,
      'commits in the outbox': outbox.count,
      'requests at the origin': limiter.running,
      'requests that wait for the origin': limiter.queued,
      'requests that wait for memory': memory.waiting('new') + memory.waiting('started'),
      'bytes without an owner': memory.usedBytes - memoryTier.sizeBytes,
    };
    for (const [what, count] of Object.entries(left))
      if (count !== 0) world.violate('everything is released', `${owner.name} is left with ${count} ${what}`);
    memoryTier.evict(Infinity);
    if (memory.usedBytes !== 0)
      world.violate('everything is released', `${owner.name} is left with ${memory.usedBytes} bytes`);
  }
}

const FINAL_PLAN: Omit<ClientPlan, 'key' | 'range' | 'id' | 'atMs'> = {
  replica: 0,
  condition: 'none',
  headOnly: false,
  bytesPerMs: 100_000,
  pauseMs: 0,
  cancel: undefined,
};

function raceOf({ faults }: Scenario): number {
  if (faults.has('pressure')) return MEMORY_WAIT_MS;
  const stores: readonly Fault[] = ['store-errors', 'store-down', 'store-slow'];
  return stores.some((fault) => faults.has(fault)) ? STORE_PATIENCE_MS : RACE_MS;
}

/** Nothing fails, and there is memory for all clients, even if many of them leave early. */
function isFaultless({ isCalm, isImpatient, faults }: Scenario): boolean {
  return isCalm || (isImpatient && !faults.has('pressure'));
}

function hasOpenBreaker({ engine }: Incarnation): boolean {
  for (const { state } of engine.origin.breakers.values()) if (state !== 'closed') return true;
  return false;
}

function isIdle({ engine, serving }: Incarnation): boolean {
  return serving === 0 && engine.flights.count === 0 && engine.sparse.running === 0 && engine.outbox.count === 0;
}

/** `which`: in [0, 1). */
function pickOne<T>(items: readonly T[], which: number): T | undefined {
  return items[Math.floor(which * items.length)];
}

function rollsEndMs({ rolls, replicas }: Scenario): number {
  // Replicas may have joined before.
  return Math.max(0, ...rolls.map(({ atMs, stepMs }) => atMs + 2 * replicas * stepMs));
}
