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
  | { readonly op: 'link' | 'rename'; readonly from: string; readonly path: string };

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
