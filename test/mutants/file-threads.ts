import type { Mutant } from './mutants.ts';

const TASK = 'cache/stores/filesystem/file-task.ts';
const THREADS = 'cache/stores/filesystem/file-threads.ts';
const FILES = ['test/cache/stores/filesystem/'];

/** Bugs in file operations that never return, and in the checks of stored chunks. */
export const FILE_THREAD_MUTANTS: readonly Mutant[] = [
  {
    name: 'memory that a file operation still writes into is not kept',
    file: TASK,
    search: 'this.#release = this.job.keep?.();',
    replace: 'this.#release = () => {};',
    tests: FILES,
  },
  {
    name: 'memory is lent to a read although nothing keeps it',
    file: TASK,
    search: 'isShared(bytes) && (isWrite || keep !== undefined)',
    replace: 'isShared(bytes) && (isWrite || keep !== null)',
    tests: FILES,
  },
  {
    name: 'a late read is copied into memory that its caller may have reused',
    file: TASK,
    search: 'if (this.#hasEnded) return;\n    this.#hasEnded = true;\n    const { request',
    replace: 'this.#hasEnded = true;\n    const { request',
    tests: FILES,
  },
  {
    name: 'an operation that hangs after an abort is not noticed',
    file: TASK,
    search: 'if (this.#thread === undefined) this.#stopWaiting();',
    replace: 'this.#stopWaiting();',
    tests: FILES,
  },
  {
    name: 'the limit ends no call whose operation runs',
    file: TASK,
    search: 'if (this.#thread !== undefined) this.#events.onHung(this);',
    replace: 'if (this.#thread !== undefined) return this.#events.onHung(this);',
    tests: FILES,
  },
  {
    name: 'calls wait for their limit although all threads hang',
    file: THREADS,
    search: 'if (this.#hung.size >= MAX_HUNG) return notResponding(`${this.#hung.size} operations have not returned`);',
    replace: '',
    tests: FILES,
  },
  {
    name: 'calls that wait for a thread do not fail when the last one hangs',
    file: THREADS,
    search: 'if (this.#hung.size >= MAX_HUNG) this.#failWaiting(',
    replace: 'if (this.#hung.size > MAX_HUNG) this.#failWaiting(',
    tests: FILES,
  },
  {
    name: 'each call for a file that hangs costs a thread',
    file: THREADS,
    search: 'if (job.path === path)',
    replace: "if (job.path === '')",
    tests: FILES,
  },
  {
    name: 'a file is closed while an operation uses it',
    file: THREADS,
    search: 'if ([...this.#running.values()].some((task) => task.fd === fd)) continue;',
    replace: '',
    tests: FILES,
  },
  {
    name: 'a file that was opened too late stays open',
    file: THREADS,
    search: 'if (opened !== undefined) this.#unclosed.add(opened);',
    replace: '',
    tests: FILES,
  },
  {
    name: 'writes wait for the end of all reads',
    file: THREADS,
    search: 'if (writing === 0 && this.#writes.length > 0) return this.#writes.shift();',
    replace: '',
    tests: FILES,
  },
  {
    name: 'a thread that hangs is not replaced',
    file: THREADS,
    search: 'const working = this.#threads.size - this.#hung.size;',
    replace: 'const working = this.#threads.size;',
    tests: FILES,
  },
  {
    name: 'another chunk of the same object is accepted',
    file: 'cache/stores/stored-chunk.ts',
    search: 'metadata.identity !== undefined && metadata.identity !== chunkIdentity(chunk)',
    replace: 'metadata.identity !== undefined && metadata.identity === chunk.path',
    tests: ['test/cache/stores/stored-chunk.test.ts'],
  },
  {
    name: 'any block size is accepted',
    file: 'cache/stores/stored-chunk.ts',
    search: 'metadata.blockSizeBytes !== blockSizeBytes',
    replace: 'metadata.blockSizeBytes < blockSizeBytes',
    tests: ['test/cache/stores/stored-chunk.test.ts'],
  },
  {
    name: 'a stream waits for a block that does not fit into its memory',
    file: 'cache/engine/streams/window-segments.ts',
    search: 'Math.min(rangeBytes, blockBytes + segmentBytes)',
    replace: 'Math.min(rangeBytes, segmentBytes)',
    tests: ['test/cache/engine/streams/stream-window-store.test.ts'],
  },
];
