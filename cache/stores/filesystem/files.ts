/** The file operations that the cachestore uses, each in a file thread and within a limit. */
import { dirname } from 'node:path';
import type { FileResults, ScanRequest } from './file-request.ts';
import type { FileCall } from './file-task.ts';
import type { FileThreads } from './file-threads.ts';

export type { FileCall } from './file-task.ts';

export class Files {
  readonly #threads: FileThreads;

  constructor(threads: FileThreads) {
    this.#threads = threads;
  }

  /** Opens for reading, with the last `tailBytes` of a file that is longer than `beyondBytes`. */
  async open(
    path: string,
    { beyondBytes, tailBytes }: { readonly beyondBytes: number; readonly tailBytes: number },
    call: FileCall,
  ): Promise<{ readonly file: OpenFile; readonly sizeBytes: number; readonly tail: Uint8Array }> {
    const request = { op: 'open', path, beyondBytes, tailBytes } as const;
    const { fd, sizeBytes, tail } = await this.#threads.run({ request, path, isWrite: false }, call);
    return { file: new OpenFile(this.#threads, path, fd), sizeBytes, tail };
  }

  /** A new file for writing. */
  async create(path: string, call: FileCall): Promise<OpenFile> {
    const request = { op: 'create', path } as const;
    return new OpenFile(this.#threads, path, await this.#threads.run({ request, path, isWrite: true }, call));
  }

  readFile(path: string, maxBytes: number, call: FileCall): Promise<Uint8Array> {
    return this.#threads.run({ request: { op: 'readFile', path, maxBytes }, path, isWrite: false }, call);
  }

  stat(path: string, call: FileCall): Promise<FileResults['stat']> {
    return this.#threads.run({ request: { op: 'stat', path }, path, isWrite: false }, call);
  }

  readdir(path: string, call: FileCall): Promise<readonly string[]> {
    return this.#threads.run({ request: { op: 'readdir', path }, path, isWrite: true }, call);
  }

  /** With its parents; returns the first directory that was created. */
  mkdir(path: string, call: FileCall): Promise<string | undefined> {
    return this.#threads.run({ request: { op: 'mkdir', path }, path, isWrite: true }, call);
  }

  async unlink(path: string, call: FileCall): Promise<void> {
    await this.#threads.run({ request: { op: 'unlink', path }, path, isWrite: true }, call);
  }

  async link(from: string, path: string, call: FileCall): Promise<void> {
    await this.#threads.run({ request: { op: 'link', from, path }, path, isWrite: true }, call);
  }

  async rename(from: string, path: string, call: FileCall): Promise<void> {
    await this.#threads.run({ request: { op: 'rename', from, path }, path, isWrite: true }, call);
  }

  /** See `FileRequest` for this and the following operations. */
  names(path: string, from: string, maxNames: number, call: FileCall): Promise<FileResults['names']> {
    return this.#threads.run({ request: { op: 'names', path, from, maxNames }, path, isWrite: true }, call);
  }

  scan(request: ScanRequest, call: FileCall): Promise<FileResults['scan']> {
    return this.#threads.run({ request, path: request.path, isWrite: true }, call);
  }

  removeAll(path: string, files: readonly string[], call: FileCall): Promise<FileResults['removeAll']> {
    return this.#threads.run({ request: { op: 'removeAll', path, files }, path, isWrite: true }, call);
  }

  totalBytes(path: string, call: FileCall): Promise<number> {
    return this.#threads.run({ request: { op: 'totalBytes', path }, path, isWrite: false }, call);
  }

  /** Makes the names in the directory of `path` durable. */
  async syncDirectoryOf(path: string, call: FileCall): Promise<void> {
    const directory = dirname(path);
    const request = { op: 'syncDirectory', path: directory } as const;
    await this.#threads.run({ request, path: directory, isWrite: true }, call);
  }
}

export class OpenFile {
  readonly path: string;
  readonly #threads: FileThreads;
  readonly #fd: number;

  constructor(threads: FileThreads, path: string, fd: number) {
    this.#threads = threads;
    this.path = path;
    this.#fd = fd;
  }

  /** Reads up to `bytes.length` bytes; 0 at the end of the file. `keep`: see `FileJob`. */
  read(bytes: Uint8Array, position: number, call: FileCall, keep?: () => () => void): Promise<number> {
    const request = { op: 'read', fd: this.#fd, position, ...NO_MEMORY } as const;
    return this.#threads.run({ request, path: this.path, isWrite: false, bytes, keep }, call);
  }

  /** Appends some of the bytes; returns how many. */
  write(bytes: Uint8Array, call: FileCall): Promise<number> {
    const request = { op: 'write', fd: this.#fd, ...NO_MEMORY } as const;
    return this.#threads.run({ request, path: this.path, isWrite: true, bytes }, call);
  }

  async sync(call: FileCall): Promise<void> {
    const request = { op: 'sync', fd: this.#fd } as const;
    await this.#threads.run({ request, path: this.path, isWrite: true }, call);
  }

  /** No caller waits for it: whatever must be durable was synced. */
  close(): void {
    this.#threads.closeFile(this.#fd);
  }
}

/** Filled in by the task. */
const NO_MEMORY = { memory: 0, offset: 0, lengthBytes: 0 } as const;
