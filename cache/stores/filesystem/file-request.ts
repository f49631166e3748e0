/** The requests to a file thread and its answers: plain data, which is sent between threads. */

/** A piece of memory that both threads see. */
export interface LentMemory {
  /** Number of the shared buffer. */
  readonly memory: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

export type FileRequest =
  /** Opens for reading. Reads the last `tailBytes` of a file that is longer than `beyondBytes`. */
  | { readonly op: 'open'; readonly path: string; readonly beyondBytes: number; readonly tailBytes: number }
  /** Creates a file that must not exist. */
  | { readonly op: 'create'; readonly path: string }
  | ({ readonly op: 'read'; readonly fd: number; readonly position: number } & LentMemory)
  /** Appends. */
  | ({ readonly op: 'write'; readonly fd: number } & LentMemory)
  | { readonly op: 'sync' | 'close'; readonly fd: number }
  /** Rejects a file of more than `maxBytes`. */
  | { readonly op: 'readFile'; readonly path: string; readonly maxBytes: number }
  | { readonly op: 'stat' | 'readdir' | 'mkdir' | 'unlink' | 'syncDirectory'; readonly path: string }
  | { readonly op: 'link' | 'rename'; readonly from: string; readonly path: string }
  /** The names in a directory from `from` on: as many as fit, the lowest first. */
  | { readonly op: 'names'; readonly path: string; readonly from: string; readonly maxNames: number }
  | ScanRequest
  /** Deletes files below `path`, and the directories of chunks that become empty. */
  | { readonly op: 'removeAll'; readonly path: string; readonly files: readonly string[] }
  /** The size of the file system, as far as it can be used. */
  | { readonly op: 'totalBytes'; readonly path: string };

/** The files that `directories` below `path` contain, at any depth; a file among `directories` is one of them. */
export interface ScanRequest {
  readonly op: 'scan';
  readonly path: string;
  /** In order. */
  readonly directories: readonly string[];
  /** The last file of the first directory that was returned before, below it; empty = none. */
  readonly after: string;
  readonly limit: number;
  /** Returns with what it has after this time, if that is anything. */
  readonly budgetMs: number;
  /** Removes empty directories that are older, since 1970. */
  readonly emptySinceMs: number;
}

export interface OpenedFile {
  readonly fd: number;
  readonly sizeBytes: number;
  /** Empty unless the file is longer than `beyondBytes`. */
  readonly tail: Uint8Array;
}

/** What `op` resolves with. */
export interface FileResults {
  readonly open: OpenedFile;
  readonly create: number;
  readonly read: number;
  readonly write: number;
  readonly sync: undefined;
  readonly close: undefined;
  readonly readFile: Uint8Array;
  readonly stat: { readonly mtimeMs: number };
  readonly readdir: readonly string[];
  /** The first directory that was created, if any was. */
  readonly mkdir: string | undefined;
  readonly unlink: undefined;
  readonly syncDirectory: undefined;
  readonly link: undefined;
  readonly rename: undefined;
  readonly names: {
    /** The names that are a SHA-256 in hex, as 32 bytes each, in order. */
    readonly hashes: Uint8Array;
    /** All others, in order. */
    readonly others: readonly string[];
    /** Names from this one on are not included; undefined = all are. */
    readonly to: string | undefined;
  };
  readonly scan: {
    /** Below the path, in order. */
    readonly names: readonly string[];
    readonly sizes: readonly number[];
    readonly modified: readonly number[];
    /** The number of directories that were read completely. */
    readonly done: number;
    /** Where to continue in the next one. */
    readonly after: string;
  };
  readonly removeAll: readonly (FileFailure & { readonly index: number })[];
  readonly totalBytes: number;
}

/** A number is the value of a read or write. */
export type FileAnswer = number | { readonly value: unknown } | { readonly failure: FileFailure };

/** An error of the system: errors lose their fields between threads. */
export interface FileFailure {
  readonly message: string;
  readonly code: string;
}

/** A shared buffer for a thread. */
export interface MemoryMessage {
  readonly memory: number;
  readonly buffer: SharedArrayBuffer;
  /** For more than the next request. */
  readonly isKept: boolean;
}

export interface FileThreadData {
  /**
   * Two 32-bit words: the state, and the length of the request as JSON, which follows after the head. Reads and writes
   * have a length of 0, and numbers in the head instead: JSON would take a tenth of their CPU time.
   */
  readonly control: SharedArrayBuffer;
  /** Memory number 0. */
  readonly bounce: SharedArrayBuffer;
}

export const REQUESTED = 1;
/** The two words, and six numbers of 64 bits: write or read, file, position, memory, offset, length. */
export const CONTROL_HEAD_BYTES = 56;
