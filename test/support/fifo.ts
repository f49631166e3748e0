/**
 * A named pipe in place of a file: opening it blocks until someone opens it for writing, and reading it until someone
 * writes. So operations hang as on a mount whose server is down, and return when the test releases them.
 */
import { execFileSync } from 'node:child_process';
import { constants, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

export interface Fifo extends Disposable {
  readonly path: string;
  /** Lets operations return: those that open it, and those that read it get `text`. */
  release(text?: string): void;
}

export function makeFifo(path: string): Fifo {
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  execFileSync('mkfifo', [path]);
  return {
    path,
    release(text = '') {
      // For reading and writing: this does not block, and counts as a writer.
      // It stays open: a thread may open the pipe only after this.
      const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
      if (text !== '') writeSync(fd, text);
    },
    [Symbol.dispose]() {
      this.release();
    },
  };
}
