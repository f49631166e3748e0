/**
 * One of the workers of a supervisor: its process, and the next one when that ends unexpectedly. The process is killed
 * when its event loop does not turn, as the kubelet would kill a container.
 */
import type { ChildProcess } from 'node:child_process';
import type { Clock } from '#shared/clock.ts';
import type { Log } from '#shared/log.ts';
import { openChannel, type Channel } from './channel.ts';
import { CONFIG_EXIT_CODE, type FromWorker, type OpsAnswer, type OpsRequest } from './messages.ts';

/** The first start after a crash is nearly immediate; one crash after the other must not take the CPU of the other workers. */
const BACKOFF_INITIAL_MS = 100;
const BACKOFF_MAX_MS = 10_000;
/** A worker that ran for this long has not failed because of its start. */
const STABLE_AFTER_MS = 60_000;
/** How often a worker must show that its event loop turns. */
const PING_MS = 5_000;
/** A minute without any message: a full garbage collection, or a starved container, is shorter. */
const MAX_MISSED_PINGS = 12;
/** SIGKILL takes effect at once, unless a system call cannot be interrupted: then only another container helps. */
const MISSED_AFTER_KILL = 6;

export type ForkedProcess = Pick<ChildProcess, 'pid' | 'send' | 'kill' | 'on'>;

/** `restarting`: until the next process is ready; its edge port is closed, so that it gets no clients. */
export type WorkerState = 'starting' | 'running' | 'restarting' | 'stopping' | 'ended';

export interface WorkerSlot {
  readonly index: number;
  state(): WorkerState;
  pid(): number | undefined;
  /** How often its process has ended unexpectedly. */
  restarts(): number;
  /** It ignores even SIGKILL. */
  isStuck(): boolean;
  ask(request: OpsRequest, timeoutMs: number): Promise<OpsAnswer>;
  /** Sends a signal to the process, if there is one. */
  kill(signal: NodeJS.Signals): void;
  /** Runs processes until `stopping` aborts and the last one has ended. Rejects if another start would not help. */
  run(stopping: AbortSignal): Promise<void>;
}

export interface WorkerSlotOptions {
  readonly index: number;
  readonly fork: (index: number) => ForkedProcess;
  readonly clock: Clock;
  readonly log: Log;
  /** Its peer port accepts calls; called for each process. */
  readonly onListening: (index: number) => void;
  readonly onExit: (index: number) => void;
}

/** The supervisor ends with it, instead of starting the worker again. */
export class WorkerStartError extends Error {
  constructor(index: number, exit: string) {
    super(`worker ${index} could not start: ${exit}`);
    this.name = 'WorkerStartError';
  }
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export function openWorkerSlot(options: WorkerSlotOptions): WorkerSlot {
  return new Slot(options);
}

class Slot implements WorkerSlot {
  readonly index: number;
  readonly #options: WorkerSlotOptions;
  #process: ForkedProcess | undefined;
  #channel: Channel | undefined;
  #state: WorkerState = 'starting';
  #restarts = 0;
  #missedPings = 0;
  /** One of its processes has been ready: the configuration works. */
  #hasBeenReady = false;

  constructor(options: WorkerSlotOptions) {
    this.#options = options;
    this.index = options.index;
  }

  state(): WorkerState {
    return this.#state;
  }

  pid(): number | undefined {
    return this.#process?.pid;
  }

  restarts(): number {
    return this.#restarts;
  }

  isStuck(): boolean {
    return this.#missedPings >= MAX_MISSED_PINGS + MISSED_AFTER_KILL;
  }

  async ask(request: OpsRequest, timeoutMs: number): Promise<OpsAnswer> {
    if (this.#channel === undefined) throw new Error(`worker ${this.index} is not running`);
    return this.#channel.ask(request, timeoutMs);
  }

  kill(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  async run(stopping: AbortSignal): Promise<void> {
    const { clock, log, index } = this.#options;
    const onStopping = () => {
      this.#state = 'stopping';
      this.kill('SIGTERM');
    };
    stopping.addEventListener('abort', onStopping, { once: true });
    let backoffMs = BACKOFF_INITIAL_MS;
    while (!stopping.aborted) {
      const startedMs = clock.now();
      const exit = await this.#runProcess();
      if (stopping.aborted) break;
      const text = exit.signal === null ? `it exited with ${exit.code}` : `it was ended by ${exit.signal}`;
      if (!this.#hasBeenReady || exit.code === CONFIG_EXIT_CODE) {
        this.#state = 'ended';
        throw new WorkerStartError(index, text);
      }
      this.#state = 'restarting';
      this.#restarts++;
      if (clock.now() - startedMs >= STABLE_AFTER_MS) backoffMs = BACKOFF_INITIAL_MS;
      log.error('worker: ended unexpectedly; it is started again', { worker: index, ...exit, afterMs: backoffMs });
      await clock.sleep(backoffMs, stopping).catch(() => {});
      backoffMs = Math.min(BACKOFF_MAX_MS, backoffMs * 2);
    }
    stopping.removeEventListener('abort', onStopping);
    this.#state = 'ended';
  }

  /** Resolves when the process has ended. */
  async #runProcess(): Promise<Exit> {
    const { fork, clock, onExit } = this.#options;
    const child = fork(this.index);
    const exited = Promise.withResolvers<Exit>();
    // `exit` is not emitted for a process that could not be created.
    child.on('error', (error: Error) => {
      this.#options.log.error('worker: an error of its process', { worker: this.index, error });
      if (child.pid === undefined) exited.resolve({ code: null, signal: null });
    });
    child.on('exit', (code: number | null, signal: NodeJS.Signals | null) => exited.resolve({ code, signal }));
    child.on('message', (message: FromWorker) => this.#onMessage(message));
    this.#process = child;
    this.#missedPings = 0;
    // A failed `send` is an `error` event without a callback; the exit follows anyway.
    const channel = openChannel((message) => void child.send(message, () => {}), clock);
    this.#channel = channel;
    const ended = new AbortController();
    const watching = this.#watch(channel, ended.signal);
    const exit = await exited.promise;
    this.#process = this.#channel = undefined;
    this.#missedPings = 0;
    ended.abort();
    channel.close();
    await watching;
    onExit(this.index);
    return exit;
  }

  #onMessage(message: FromWorker): void {
    this.#missedPings = 0;
    switch (message.type) {
      case 'answer':
        this.#channel?.receive(message);
        break;
      case 'listening':
        this.#options.onListening(this.index);
        break;
      case 'ready':
        this.#hasBeenReady = true;
        if (this.#state !== 'stopping') this.#state = 'running';
        break;
    }
  }

  /** Counts pings, not time: the time in which this process itself is suspended does not count. */
  async #watch(channel: Channel, ended: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    while (!ended.aborted) {
      this.#missedPings++;
      if (this.#missedPings === MAX_MISSED_PINGS) {
        log.error('worker: its event loop does not turn; it is killed', { worker: this.index, pid: this.pid() });
        this.kill('SIGKILL');
      }
      channel.ask({ method: 'GET', path: '/livez', headers: {} }, PING_MS).catch(() => {});
      await clock.sleep(PING_MS, ended).catch(() => {});
    }
  }
}
