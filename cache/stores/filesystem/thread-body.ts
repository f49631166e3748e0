/**
 * The program of a file thread: synchronous file operations, one at a time, outside Node's thread pool.
 *
 * A thread runs the text of these functions, so they must not refer to anything outside themselves. A file of its
 * own would load the TypeScript loader in each thread: 16 MiB and 130 ms instead of 7 MiB and 40 ms.
 */
import type * as Fs from 'node:fs';
import type * as Threads from 'node:worker_threads';
import type { FileAnswer, FileRequest, FileThreadData, LentMemory, MemoryMessage } from './file-request.ts';
import { listOperationsText, type listOperationsOf } from './thread-lists.ts';

export function fileThreadProgram(): string {
  const operations = `${String(operationsOf)}, ${listOperationsText()}`;
  return `(${String(runFileThread)})(require('node:fs'), require('node:worker_threads'), ${operations})`;
}

function runFileThread(
  fs: typeof Fs,
  threads: typeof Threads,
  operations: typeof operationsOf,
  lists: typeof listOperationsOf,
): void {
  const { parentPort, receiveMessageOnPort, workerData } = threads;
  const port = parentPort!;
  const { control, bounce } = workerData as FileThreadData;
  const state = new Int32Array(control, 0, 2);
  const numbers = new Float64Array(control, 8, 6);
  const text = Buffer.from(control, 56);
  const memories = new Map<number, Buffer>([[0, Buffer.from(bounce)]]);

  /** Memory that the thread does not know was sent before the request. */
  const view = ({ memory, offset, lengthBytes }: LentMemory): Buffer => {
    let found = memories.get(memory);
    while (found === undefined) {
      const next: { readonly message: MemoryMessage } | undefined = receiveMessageOnPort(port);
      if (next === undefined) throw new Error('the memory of a request was not sent');
      const received = Buffer.from(next.message.buffer);
      if (next.message.isKept) memories.set(next.message.memory, received);
      if (next.message.memory === memory) found = received;
    }
    return found.subarray(offset, offset + lengthBytes);
  };
  const run = operations(fs, lists(fs));
  const transfer = (): number => {
    const [isWrite, fd = 0, position = 0, memory = 0, offset = 0, lengthBytes = 0] = numbers;
    const bytes = view({ memory, offset, lengthBytes });
    return isWrite === 1 ? fs.writeSync(fd, bytes) : fs.readSync(fd, bytes, 0, lengthBytes, position);
  };
  const answer = (length: number): FileAnswer => {
    try {
      if (length === 0) return transfer();
      return { value: run(JSON.parse(text.toString('utf8', 0, length)) as FileRequest) };
    } catch (error) {
      const { message, code = '' } = error as NodeJS.ErrnoException;
      return { failure: { message, code } };
    }
  };

  port.postMessage('ready');
  for (;;) {
    // Sleeps in the kernel. A thread that is stopped ends here.
    while (Atomics.load(state, 0) === 0) Atomics.wait(state, 0, 0);
    const answered = answer(state[1]!);
    Atomics.store(state, 0, 0);
    port.postMessage(answered);
  }
}

/** All operations but reads and writes. `listed` runs those on whole directories. */
function operationsOf(fs: typeof Fs, listed: ReturnType<typeof listOperationsOf>): (request: FileRequest) => unknown {
  const readFully = (fd: number, into: Uint8Array, position: number): Uint8Array => {
    let done = 0;
    while (done < into.length) {
      const count = fs.readSync(fd, into, done, into.length - done, position + done);
      if (count === 0) break;
      done += count;
    }
    return into.subarray(0, done);
  };
  /** Closes the file unless `step` returns it. */
  const reading = <T>(path: string, stays: boolean, step: (fd: number) => T): T => {
    const fd = fs.openSync(path, 'r');
    let isDone = false;
    try {
      const value = step(fd);
      isDone = true;
      return value;
    } finally {
      if (!stays || !isDone) fs.closeSync(fd);
    }
  };
  const open = ({ path, beyondBytes, tailBytes }: Extract<FileRequest, { op: 'open' }>): unknown =>
    reading(path, true, (fd) => {
      const sizeBytes = fs.fstatSync(fd).size;
      const length = sizeBytes > beyondBytes ? Math.min(sizeBytes, tailBytes) : 0;
      return { fd, sizeBytes, tail: readFully(fd, new Uint8Array(length), sizeBytes - length) };
    });
  const readFile = ({ path, maxBytes }: Extract<FileRequest, { op: 'readFile' }>): unknown =>
    reading(path, false, (fd) => {
      const { size } = fs.fstatSync(fd);
      if (size > maxBytes) throw new Error(`${path} has ${size} bytes, more than ${maxBytes}`);
      return readFully(fd, new Uint8Array(size), 0);
    });

  return (request) => {
    switch (request.op) {
      case 'open':
        return open(request);
      case 'create':
        return fs.openSync(request.path, 'wx', 0o640);
      case 'read':
      case 'write':
        throw new Error('reads and writes are not sent as JSON');
      case 'sync':
        return fs.fsyncSync(request.fd);
      case 'close':
        return fs.closeSync(request.fd);
      case 'readFile':
        return readFile(request);
      case 'stat':
        return { mtimeMs: fs.statSync(request.path).mtimeMs };
      case 'readdir':
        return fs.readdirSync(request.path);
      case 'mkdir':
        return fs.mkdirSync(request.path, { recursive: true, mode: 0o750 });
      case 'unlink':
        return fs.unlinkSync(request.path);
      case 'syncDirectory':
        return reading(request.path, false, (fd) => fs.fsyncSync(fd));
      case 'link':
        return fs.linkSync(request.from, request.path);
      case 'rename':
        return fs.renameSync(request.from, request.path);
      case 'names':
      case 'scan':
      case 'removeAll':
      case 'totalBytes':
        return listed(request);
    }
  };
}
