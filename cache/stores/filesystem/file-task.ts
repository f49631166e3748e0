/**
 * One call of a file operation. The call ends with the operation, at its limit, or by its signal; the operation runs
 * until it returns.
 */
import { OrcaError } from '#cache/core/errors.ts';
import { cancelledBy } from '#cache/wire/http1/sink.ts';
import type { Clock } from '#shared/clock.ts';
import type { FileAnswer, FileRequest } from './file-request.ts';
import type { FileThread } from './file-thread.ts';
import { bounced, copyIn, copyOut, isShared, lend } from './lent-memory.ts';

export interface FileCall {
  readonly signal: AbortSignal;
  /** From the call to its answer, with the wait for a thread. */
  readonly limitMs: number;
}

export interface FileJob {
  readonly request: FileRequest;
  /** The file's name. */
  readonly path: string;
  readonly isWrite: boolean;
  /** The memory of a read or write; its place in the request is filled in. */
  readonly bytes?: Uint8Array;
  /**
   * Keeps `bytes` from being reused until the returned function is called. A read without it goes through the thread's
   * memory. A write needs none: what it writes after its call has ended is never used.
   */
  readonly keep?: (() => () => void) | undefined;
}

export interface FileTaskEvents {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** The limit has passed, and the operation has not returned. */
  readonly onHung: (task: FileTask) => void;
}

export class FileTask {
  readonly job: FileJob;
  readonly startedMs: number;
  readonly #events: FileTaskEvents;
  readonly #call: FileCall;
  readonly #cancelTimer: () => void;
  #check: NodeJS.Immediate | undefined;
  #thread: FileThread | undefined;
  #hasEnded = false;
  #release: (() => void) | undefined;

  constructor(job: FileJob, call: FileCall, clock: Clock, events: FileTaskEvents) {
    this.job = job;
    this.startedMs = clock.now();
    this.#call = call;
    this.#events = events;
    call.signal.addEventListener('abort', this.#onAbort, { once: true });
    // After a long turn of the event loop, timers fire before the answers that have arrived: those count.
    this.#cancelTimer = clock.after(call.limitMs, () => (this.#check = setImmediate(this.#onLimit)));
  }

  /** Whether its caller has an answer or an error. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Memory that the operation may write into, after its call has ended. */
  get lentBytes(): number {
    return this.#release === undefined ? 0 : (this.job.bytes?.length ?? 0);
  }

  /** The file that the operation uses. */
  get fd(): number | undefined {
    return 'fd' in this.job.request ? this.job.request.fd : undefined;
  }

  start(thread: FileThread, onReturn: (answer: FileAnswer) => void): void {
    this.#thread = thread;
    const { request, bytes, isWrite } = this.job;
    if (bytes === undefined) {
      thread.run(request, undefined, onReturn);
    } else if (this.#isLent) {
      const { memory, message } = lend(bytes);
      thread.run({ ...request, ...memory }, message, onReturn);
    } else {
      if (isWrite) copyIn(thread, bytes);
      thread.run({ ...request, ...bounced(bytes) }, undefined, onReturn);
    }
  }

  /** The operation has returned. */
  returned(answer: FileAnswer): void {
    this.#stopWaiting();
    this.#release?.();
    this.#release = undefined;
    const thread = this.#thread;
    this.#thread = undefined;
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const { request, bytes } = this.job;
    if (typeof answer === 'object' && 'failure' in answer) {
      const { message, code } = answer.failure;
      this.#events.reject(Object.assign(new Error(message), { code }));
      return;
    }
    if (request.op === 'read' && bytes !== undefined && thread !== undefined && !this.#isLent)
      copyOut(thread, bytes, answer as number);
    this.#events.resolve(typeof answer === 'object' ? answer.value : answer);
  }

  /** Ends the call; an operation that is running continues. */
  fail(error: OrcaError): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    // Before the caller learns of it, since it may reuse the memory at once.
    if (this.#thread !== undefined && this.#isLent && !this.job.isWrite) this.#release = this.job.keep?.();
    // The limit of a running operation counts on: it shows whether the thread hangs.
    if (this.#thread === undefined) this.#stopWaiting();
    this.#events.reject(error);
  }

  get #isLent(): boolean {
    const { bytes, isWrite, keep } = this.job;
    return bytes !== undefined && isShared(bytes) && (isWrite || keep !== undefined);
  }

  readonly #onAbort = (): void => this.fail(cancelledBy(this.#call.signal));

  readonly #onLimit = (): void => {
    const { request, path } = this.job;
    if (this.#thread !== undefined) this.#events.onHung(this);
    const what = this.#thread === undefined ? 'found no free thread' : 'has not returned';
    this.fail(notResponding(`${request.op} of ${path} ${what} within ${this.#call.limitMs} ms`));
  };

  #stopWaiting(): void {
    this.#call.signal.removeEventListener('abort', this.#onAbort);
    this.#cancelTimer();
    clearImmediate(this.#check);
  }
}

export function notResponding(what: string): OrcaError {
  return new OrcaError('store_unavailable', `the cachestore's file system does not respond: ${what}`);
}
