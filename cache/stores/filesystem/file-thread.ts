/** One file thread: it runs one request at a time, and nothing can interrupt it meanwhile. */
import { Worker } from 'node:worker_threads';
import {
  CONTROL_HEAD_BYTES,
  REQUESTED,
  type FileAnswer,
  type FileRequest,
  type FileThreadData,
  type MemoryMessage,
} from './file-request.ts';
import { fileThreadProgram } from './thread-body.ts';

/** Two paths of PATH_MAX, with room for what JSON escapes. */
const CONTROL_BYTES = 64 * 1024;
/** For memory that is not shared: that of small objects. */
export const BOUNCE_BYTES = 128 * 1024;
/** The program needs 5 MiB of heap; files are read outside of it. */
const LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 };

export interface FileThreadEvents {
  /** It has started, or has answered. */
  readonly onIdle: (thread: FileThread) => void;
  /** It has ended, by `stop` or by a failure. */
  readonly onEnd: (thread: FileThread) => void;
}

export class FileThread {
  readonly bounce = Buffer.from(new SharedArrayBuffer(BOUNCE_BYTES));
  readonly #worker: Worker;
  readonly #state: Int32Array;
  readonly #numbers: Float64Array;
  readonly #text: Buffer;
  readonly #known = new Set<number>();
  #onAnswer: ((answer: FileAnswer) => void) | undefined;

  constructor({ onIdle, onEnd }: FileThreadEvents) {
    const control = new SharedArrayBuffer(CONTROL_BYTES);
    this.#state = new Int32Array(control, 0, 2);
    this.#numbers = new Float64Array(control, 8, 6);
    this.#text = Buffer.from(control, CONTROL_HEAD_BYTES);
    const workerData: FileThreadData = { control, bounce: this.bounce.buffer };
    this.#worker = new Worker(fileThreadProgram(), {
      eval: true,
      name: 'files',
      workerData,
      resourceLimits: LIMITS,
      execArgv: [],
      env: {},
      // A file that one thread opens is closed by another.
      trackUnmanagedFds: false,
    });
    // A caller that waits for an answer has a timer, which keeps the process running.
    this.#worker.unref();
    this.#worker.on('message', (answer: FileAnswer | 'ready') => {
      if (answer !== 'ready') this.#answered(answer);
      onIdle(this);
    });
    const end = (message: string) => {
      this.#answered({ failure: { message, code: '' } });
      onEnd(this);
    };
    this.#worker.on('error', (error) => end(`a file thread failed: ${String(error)}`));
    this.#worker.on('exit', () => end('a file thread has ended'));
  }

  /** Only for an idle thread. `memories` are the shared buffers that the request refers to. */
  run(request: FileRequest, memory: MemoryMessage | undefined, onAnswer: (answer: FileAnswer) => void): void {
    this.#onAnswer = onAnswer;
    if (memory !== undefined && !this.#known.has(memory.memory)) {
      this.#worker.postMessage(memory, []);
      if (memory.isKept) this.#known.add(memory.memory);
    }
    if (request.op === 'read' || request.op === 'write') {
      const position = request.op === 'read' ? request.position : 0;
      const isWrite = request.op === 'write' ? 1 : 0;
      this.#numbers.set([isWrite, request.fd, position, request.memory, request.offset, request.lengthBytes]);
      this.#state[1] = 0;
    } else {
      this.#state[1] = this.#text.write(JSON.stringify(request));
    }
    Atomics.store(this.#state, 0, REQUESTED);
    Atomics.notify(this.#state, 0);
  }

  /** Resolves when the thread has ended, which one that is blocked in a file operation does when that returns. */
  async stop(): Promise<void> {
    await this.#worker.terminate();
  }

  #answered(answer: FileAnswer): void {
    const onAnswer = this.#onAnswer;
    this.#onAnswer = undefined;
    onAnswer?.(answer);
  }
}
