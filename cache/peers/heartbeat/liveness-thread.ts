/**
 * Responds to the heartbeats of other replicas in a thread of its own, so that they can distinguish a frozen process from
 * one whose main loop gets no CPU time (docs/adr/0031-liveness-thread.md). A thread that ends or hangs is started again;
 * meanwhile the others judge this replica by its calls alone.
 */
import { Worker } from 'node:worker_threads';
import type { PeerKeys } from '#cache/core/peer/auth.ts';
import type { Clock } from '#shared/clock.ts';
import type { Log } from '#shared/log.ts';
import {
  livenessThreadProgram,
  MAIN_TURNED,
  monotonicMs,
  SHARED_BYTES,
  THREAD_TURNED,
  type LivenessThreadData,
  type LivenessThreadEvent,
  type LivenessThreadMessage,
} from './thread-body.ts';

export interface LivenessThread {
  /** Address and port of the peer listener. It never fails: without the thread, peers wait longer. */
  listen(host: string, port: number): void;
  readonly state: 'closed' | 'starting' | 'listening' | 'waiting';
  close(): Promise<void>;
}

export interface LivenessThreadOptions {
  /** `ip:port` by which the other replicas know this one. */
  readonly self: () => string;
  readonly keys: () => PeerKeys | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** For tests. Default: a worker thread. */
  readonly startWorker?: (data: LivenessThreadData) => LivenessWorker;
}

/** What is used of a `Worker`. */
export interface LivenessWorker {
  on(event: 'message', listener: (message: LivenessThreadEvent) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'exit', listener: () => void): unknown;
  postMessage(message: LivenessThreadMessage, transfer: []): void;
  terminate(): Promise<unknown>;
}

/** A few times less than what counts as a late main loop (`monitor.ts`); 20 wake-ups per second are 0.1 % of a core. */
const TURN_MS = 50;
/** Keys are read again every 10 s, so a second more is no matter. */
const CHECK_TURNS = 20;
/** The thread turns every second: a garbage collection, or a starved machine, does not take ten. */
const MAX_CHECKS_WITHOUT_TURN = 10;
/** 256 peers, the most that a replica calls, send five pings per second each. */
const MAX_PINGS_PER_SECOND = 2000;
/** The program and its modules need 5 MiB; it creates little garbage. */
const LIMITS = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 };
const BACKOFF_INITIAL_MS = 1000;
const BACKOFF_MAX_MS = 60_000;
/** A thread that listened for less has failed again: its backoff keeps growing. */
const STEADY_MS = BACKOFF_MAX_MS;

export function openLivenessThread(options: LivenessThreadOptions): LivenessThread {
  return new Thread(options);
}

class Thread implements LivenessThread {
  readonly #options: LivenessThreadOptions;
  readonly #shared = new SharedArrayBuffer(SHARED_BYTES);
  readonly #times = new Int32Array(this.#shared);
  #address: { readonly host: string; readonly port: number } | undefined;
  #state: LivenessThread['state'] = 'closed';
  #worker: LivenessWorker | undefined;
  #keys: PeerKeys | undefined;
  #interval: NodeJS.Timeout | undefined;
  #turns = 0;
  #lastTurn = 0;
  #checksWithoutTurn = 0;
  #backoffMs = BACKOFF_INITIAL_MS;
  /** While the state is `listening`. */
  #listeningSinceMs = 0;
  #cancelRestart = (): void => {};

  constructor(options: LivenessThreadOptions) {
    this.#options = options;
  }

  get state(): LivenessThread['state'] {
    return this.#state;
  }

  listen(host: string, port: number): void {
    this.#address = { host, port };
    this.#turned();
    // Real time, not the clock's: it measures this process.
    this.#interval = setInterval(() => this.#turned(), TURN_MS);
    this.#interval.unref();
    this.#start();
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    clearInterval(this.#interval);
    this.#cancelRestart();
    await this.#worker?.terminate();
  }

  #turned(): void {
    Atomics.store(this.#times, MAIN_TURNED, monotonicMs());
    this.#turns += 1;
    if (this.#turns % CHECK_TURNS === 0 && this.#worker !== undefined) this.#check(this.#worker);
  }

  #start(): void {
    if (this.#address === undefined) return;
    this.#state = 'starting';
    this.#keys = this.#options.keys();
    this.#checksWithoutTurn = 0;
    const workerData: LivenessThreadData = {
      shared: this.#shared,
      ...this.#address,
      self: this.#options.self(),
      keys: copyOf(this.#keys),
      maxPerSecond: MAX_PINGS_PER_SECOND,
    };
    let worker: LivenessWorker;
    try {
      worker = (this.#options.startWorker ?? startWorker)(workerData);
    } catch (error) {
      // Such as at the limit of the processes of a container.
      return this.#ended(undefined, String(error));
    }
    this.#worker = worker;
    let reason = 'it has ended';
    worker.on('message', (message: LivenessThreadEvent) => {
      if (message.event === 'failed') reason = message.code;
      else this.#onListening();
    });
    worker.on('error', (error) => (reason = String(error)));
    worker.on('exit', () => this.#ended(worker, reason));
  }

  #onListening(): void {
    if (this.#state !== 'starting') return;
    this.#state = 'listening';
    this.#listeningSinceMs = this.#options.clock.now();
    this.#options.log.debug('liveness thread: responds to heartbeats', { ...this.#address });
  }

  #ended(worker: LivenessWorker | undefined, reason: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    if (this.#state === 'closed') return;
    const listenedMs = this.#state === 'listening' ? this.#options.clock.now() - this.#listeningSinceMs : 0;
    if (listenedMs >= STEADY_MS) this.#backoffMs = BACKOFF_INITIAL_MS;
    this.#state = 'waiting';
    const afterMs = this.#backoffMs;
    this.#backoffMs = Math.min(BACKOFF_MAX_MS, afterMs * 2);
    this.#options.log.warn('liveness thread: ended, so peers detect later whether this replica is frozen', {
      reason,
      restartAfterMs: afterMs,
      ...this.#address,
    });
    this.#cancelRestart = this.#options.clock.after(afterMs, () => this.#start());
  }

  /** Counts turns of this loop, so that the time in which the whole process did not run is not that of a hung thread. */
  #check(worker: LivenessWorker): void {
    const keys = this.#options.keys();
    if (keys !== this.#keys) {
      this.#keys = keys;
      worker.postMessage({ keys: copyOf(keys) } satisfies LivenessThreadMessage, []);
    }
    const turn = Atomics.load(this.#times, THREAD_TURNED);
    this.#checksWithoutTurn = turn === this.#lastTurn ? this.#checksWithoutTurn + 1 : 0;
    this.#lastTurn = turn;
    if (this.#checksWithoutTurn < MAX_CHECKS_WITHOUT_TURN) return;
    this.#options.log.error('liveness thread: hangs, and is started again');
    this.#checksWithoutTurn = 0;
    void worker.terminate();
  }
}

function startWorker(workerData: LivenessThreadData): LivenessWorker {
  const worker = new Worker(livenessThreadProgram(), {
    eval: true,
    name: 'liveness',
    workerData,
    resourceLimits: LIMITS,
    execArgv: [],
    env: {},
  });
  worker.unref();
  return worker;
}

/** Bytes of their own: a clone of a Buffer would contain its neighbors in Node's pool. */
function copyOf(keys: PeerKeys | undefined): PeerKeys | undefined {
  if (keys === undefined) return undefined;
  const { current, previous } = keys;
  return { current: Uint8Array.from(current), previous: previous && Uint8Array.from(previous) };
}
