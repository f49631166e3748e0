/**
 * File operations in threads of their own, with limits that do not depend on their return. An operation on a mount whose
 * server is down may never return, and nothing can interrupt it. In Node's thread pool four of them would stop DNS and
 * every other file operation of the process.
 *
 * A thread whose operation has not returned at its limit *hangs*. It is replaced, up to a number of hung threads; from
 * then on every call fails at once, until one of them returns.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { HungCalls } from '#cache/engine/ports.ts';
import { cancelledBy } from '#cache/wire/http1/sink.ts';
import type { Clock } from '#shared/clock.ts';
import type { FileAnswer, FileRequest, FileResults } from './file-request.ts';
import { FileTask, notResponding, type FileCall, type FileJob } from './file-task.ts';
import { FileThread } from './file-thread.ts';

/** As many as Node's thread pool has. One takes 7 MiB; it is started when all others are busy. */
const MAX_WORKING = 4;
/** Of these: an fsync may take long, and must not hold up reads. */
const MAX_WRITING = 2;
/**
 * More than one, so that a few files whose operations never return do not end the use of all others. Each may hold a
 * segment of memory (1 MiB) until it returns.
 */
export const MAX_HUNG = 4;
/** As many as requests can wait for memory in one of its queues. */
const MAX_WAITING = 4_096;
const CLOSE_LIMIT_MS = 10_000;
/** An idle thread ends within milliseconds, a hung one perhaps never. */
const STOP_LIMIT_MS = 1_000;
const NEVER = new AbortController().signal;

export class FileThreads {
  readonly #clock: Clock;
  readonly #threads = new Set<FileThread>();
  readonly #idle: FileThread[] = [];
  readonly #running = new Map<FileThread, FileTask>();
  readonly #hung = new Set<FileTask>();
  readonly #reads: FileTask[] = [];
  readonly #writes: FileTask[] = [];
  /** Files to close. */
  readonly #unclosed = new Set<number>();
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** After `close`, with all operations that still run: the process cannot exit as usual before they return. */
  get hung(): HungCalls {
    const tasks = this.#isClosed ? [...this.#running.values()] : [...this.#hung];
    const startedMs = Math.min(...tasks.map((task) => task.startedMs));
    return {
      count: tasks.length,
      longestMs: tasks.length === 0 ? 0 : this.#clock.now() - startedMs,
      lentBytes: tasks.reduce((sum, { lentBytes }) => sum + lentBytes, 0),
    };
  }

  /** Rejects with the system's error; at the limit with `store_unavailable`; or with the signal's error. */
  run<O extends FileRequest['op']>(
    job: FileJob & { readonly request: { readonly op: O } },
    call: FileCall,
  ): Promise<FileResults[O]> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refusal(job.path, call.signal);
      if (refusal !== undefined) {
        reject(refusal);
        return;
      }
      (job.isWrite ? this.#writes : this.#reads).push(
        new FileTask(job, call, this.#clock, {
          resolve: resolve as (value: unknown) => void,
          reject,
          onHung: this.#onHung,
        }),
      );
      this.#next();
    });
  }

  /** Closes the file when no operation uses it any more; no caller waits for that. */
  closeFile(fd: number): void {
    this.#unclosed.add(fd);
    this.#next();
  }

  /** Ends all threads but those that hang. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#failWaiting(closed());
    const ends = Promise.all([...this.#threads].map((thread) => thread.stop()));
    const late = Promise.withResolvers<void>();
    const cancel = this.#clock.after(STOP_LIMIT_MS, late.resolve);
    await Promise.race([ends, late.promise]);
    cancel();
  }

  #refusal(path: string, signal: AbortSignal): OrcaError | undefined {
    if (signal.aborted) return cancelledBy(signal);
    if (this.#isClosed) return closed();
    if (this.#hung.size >= MAX_HUNG) return notResponding(`${this.#hung.size} operations have not returned`);
    for (const { job } of this.#hung)
      if (job.path === path) return notResponding(`an operation on ${path} has not returned`);
    if (this.#reads.length + this.#writes.length < MAX_WAITING) return undefined;
    for (const tasks of [this.#reads, this.#writes])
      tasks.splice(0, Infinity, ...tasks.filter((task) => !task.hasEnded));
    if (this.#reads.length + this.#writes.length >= MAX_WAITING)
      return notResponding(`${MAX_WAITING} operations wait for a thread`);
    return undefined;
  }

  /** Gives idle threads something to do, and starts threads that are missing. */
  #next(): void {
    while (!this.#isClosed && this.#hasWork()) {
      const thread = this.#idle.pop();
      if (thread === undefined) {
        this.#spawn();
        return;
      }
      const task = this.#take();
      if (task === undefined) {
        this.#idle.push(thread);
        return;
      }
      this.#running.set(thread, task);
      task.start(thread, (answer) => this.#onReturn(thread, task, answer));
    }
  }

  #hasWork(): boolean {
    dropEnded(this.#reads);
    dropEnded(this.#writes);
    return (
      this.#reads.length > 0 || this.#unclosed.size > 0 || (this.#writes.length > 0 && this.#writing < MAX_WRITING)
    );
  }

  /** Reads have precedence, but neither files to close nor writes wait for the end of all reads. */
  #take(): FileTask | undefined {
    const closing = this.#closing();
    if (closing !== undefined) return closing;
    const writing = this.#writes.length === 0 ? 0 : this.#writing;
    if (writing === 0 && this.#writes.length > 0) return this.#writes.shift();
    return this.#reads.shift() ?? (writing < MAX_WRITING ? this.#writes.shift() : undefined);
  }

  get #writing(): number {
    let count = 0;
    for (const task of this.#running.values()) if (task.job.isWrite && !this.#hung.has(task)) count++;
    return count;
  }

  /** Closes a file that no operation uses: its number may be another file's afterwards. */
  #closing(): FileTask | undefined {
    for (const fd of this.#unclosed) {
      if ([...this.#running.values()].some((task) => task.fd === fd)) continue;
      this.#unclosed.delete(fd);
      const job: FileJob = { request: { op: 'close', fd }, path: `file ${fd}`, isWrite: false };
      // An error means that an earlier write failed, but whatever must be durable was synced.
      const ignore = (): void => {};
      const events = { resolve: ignore, reject: ignore, onHung: this.#onHung };
      return new FileTask(job, { signal: NEVER, limitMs: CLOSE_LIMIT_MS }, this.#clock, events);
    }
    return undefined;
  }

  #spawn(): void {
    const working = this.#threads.size - this.#hung.size;
    const starting = this.#threads.size - this.#running.size - this.#idle.length;
    const waiting = this.#reads.length + this.#writes.length + this.#unclosed.size;
    if (working >= MAX_WORKING || starting >= waiting) return;
    const thread = new FileThread({ onIdle: this.#onIdle, onEnd: this.#onEnd });
    this.#threads.add(thread);
  }

  #onReturn(thread: FileThread, task: FileTask, answer: FileAnswer): void {
    this.#running.delete(thread);
    this.#hung.delete(task);
    const opened = task.hasEnded ? openedFile(task.job.request, answer) : undefined;
    if (opened !== undefined) this.#unclosed.add(opened);
    task.returned(answer);
  }

  readonly #onHung = (task: FileTask): void => {
    this.#hung.add(task);
    if (this.#hung.size >= MAX_HUNG) this.#failWaiting(notResponding(`${MAX_HUNG} operations have not returned`));
    else this.#next();
  };

  readonly #onIdle = (thread: FileThread): void => {
    // A hung thread that returned after it was replaced.
    if (this.#isClosed || this.#threads.size - this.#hung.size > MAX_WORKING) {
      this.#threads.delete(thread);
      void thread.stop();
      return;
    }
    this.#idle.push(thread);
    this.#next();
  };

  readonly #onEnd = (thread: FileThread): void => {
    if (!this.#threads.delete(thread) || this.#isClosed) return;
    if (this.#idle.includes(thread)) this.#idle.splice(this.#idle.indexOf(thread), 1);
    // No thread can be started: the calls must not wait for one until their limit.
    if (this.#threads.size === 0)
      this.#failWaiting(new OrcaError('store_unavailable', 'file threads cannot be started'));
    this.#next();
  };

  #failWaiting(error: OrcaError): void {
    for (const task of [...this.#reads.splice(0), ...this.#writes.splice(0)]) task.fail(error);
  }
}

/** An operation that waits is not started after its call has ended. */
function dropEnded(tasks: FileTask[]): void {
  while (tasks[0]?.hasEnded === true) tasks.shift();
}

/** The file that was opened for a call that has ended. */
function openedFile({ op }: FileRequest, answer: FileAnswer): number | undefined {
  if (typeof answer !== 'object' || 'failure' in answer) return undefined;
  if (op === 'create') return answer.value as number;
  return op === 'open' ? (answer.value as FileResults['open']).fd : undefined;
}

function closed(): OrcaError {
  return new OrcaError('store_unavailable', 'the file system is closed');
}
