/**
 * The operations of a file thread on whole directories. A directory may have a million names: it is read in a stream,
 * and only what the answer needs is kept.
 *
 * A thread runs the text of these functions, so they must not refer to anything outside themselves.
 */
import type * as Fs from 'node:fs';
import type { FileRequest, FileResults } from './file-request.ts';

type ListRequest = Extract<FileRequest, { op: 'names' | 'scan' | 'removeAll' | 'totalBytes' }>;
type ListOperations = (request: ListRequest) => unknown;
type Tools = ReturnType<typeof toolsOf>;

/** The operations in this thread, and as text for another one: a function of `node:fs`. */
export function listOperationsOf(fs: typeof Fs): ListOperations {
  return operationsOf(fs, toolsOf, namesOf, scanOf, removalOf);
}

export function listOperationsText(): string {
  const parts = [toolsOf, namesOf, scanOf, removalOf].map(String).join(', ');
  return `(fs) => (${String(operationsOf)})(fs, ${parts})`;
}

function operationsOf(
  fs: typeof Fs,
  toolsIn: typeof toolsOf,
  namesIn: typeof namesOf,
  scanIn: typeof scanOf,
  removalIn: typeof removalOf,
): ListOperations {
  const tools = toolsIn(fs);
  const names = namesIn(tools);
  const scan = scanIn(fs, tools);
  const removeAll = removalIn(fs, tools);
  return (request) => {
    switch (request.op) {
      case 'names':
        return names(request);
      case 'scan':
        return scan(request);
      case 'removeAll':
        return removeAll(request);
      case 'totalBytes': {
        const { blocks, bfree, bavail, bsize } = fs.statfsSync(request.path);
        // Without what is reserved for root.
        return (blocks - bfree + bavail) * bsize;
      }
    }
  };
}

function toolsOf(fs: typeof Fs) {
  const hasCode = (error: unknown, ...codes: string[]): boolean =>
    codes.includes((error as NodeJS.ErrnoException).code ?? '');

  /**
   * Calls `visit` with each name in no particular order; nothing in a directory that does not exist. A small directory is
   * read at once, which takes a third of the time: most objects have one chunk.
   */
  const eachName = (path: string, isSmall: boolean, visit: (name: string) => void): void => {
    let directory: Fs.Dir;
    try {
      if (isSmall) {
        for (const name of fs.readdirSync(path)) visit(name);
        return;
      }
      directory = fs.opendirSync(path, { bufferSize: 1_000 });
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return;
      throw error;
    }
    try {
      for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) visit(entry.name);
    } finally {
      directory.closeSync();
    }
  };

  /** An empty one; any other stays. */
  const removeDirectory = (path: string): void => {
    try {
      fs.rmdirSync(path);
    } catch (error) {
      if (!hasCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR', 'EBUSY', 'EPERM', 'EACCES')) throw error;
    }
  };

  return { hasCode, eachName, removeDirectory };
}

/** Returns the lowest names of a directory. */
function namesOf({ eachName }: Tools): (request: Extract<ListRequest, { op: 'names' }>) => FileResults['names'] {
  const HASH = /^[0-9a-f]{64}$/;
  const HASH_BYTES = 32;
  const sortHashes = (hashes: Buffer, count: number): Buffer => {
    const firsts = Uint32Array.from({ length: count }, (_, at) => hashes.readUInt32BE(at * HASH_BYTES));
    const order = Uint32Array.from({ length: count }, (_, at) => at);
    const compare = (a: number, b: number): number =>
      firsts[a]! - firsts[b]! ||
      hashes.compare(hashes, b * HASH_BYTES, (b + 1) * HASH_BYTES, a * HASH_BYTES, (a + 1) * HASH_BYTES);
    order.sort(compare);
    // Shared, so that the answer is not copied.
    const sorted = Buffer.from(new SharedArrayBuffer(count * HASH_BYTES));
    order.forEach((from, to) => hashes.copy(sorted, to * HASH_BYTES, from * HASH_BYTES, (from + 1) * HASH_BYTES));
    return sorted;
  };

  return ({ path, from, maxNames }) => {
    let hashes = Buffer.alloc(1_024 * HASH_BYTES);
    let count = 0;
    let others: string[] = [];
    let to: string | undefined;
    /** Keeps the lower half. */
    const cut = (): void => {
      if (count > others.length) {
        const sorted = sortHashes(hashes, count);
        count = count >> 1;
        to = sorted.toString('hex', count * HASH_BYTES, (count + 1) * HASH_BYTES);
        hashes = Buffer.from(sorted);
        others = others.filter((name) => name < to!);
      } else {
        others.sort();
        to = others[others.length >> 1]!;
        others.length = others.length >> 1;
        let kept = 0;
        for (let at = 0; at < count; at++) {
          if (hashes.toString('hex', at * HASH_BYTES, (at + 1) * HASH_BYTES) >= to) continue;
          hashes.copyWithin(kept * HASH_BYTES, at * HASH_BYTES, (at + 1) * HASH_BYTES);
          kept++;
        }
        count = kept;
      }
    };
    eachName(path, false, (name) => {
      if (name < from || (to !== undefined && name >= to)) return;
      if (HASH.test(name)) {
        if ((count + 1) * HASH_BYTES > hashes.length)
          hashes = Buffer.concat([hashes, Buffer.alloc(hashes.length)], hashes.length * 2);
        hashes.write(name, count * HASH_BYTES, 'hex');
        count++;
      } else {
        others.push(name);
      }
      // Names as text take four times the memory of hashes.
      if (count + 4 * others.length > maxNames) cut();
    });
    return { hashes: sortHashes(hashes, count), others: others.toSorted(), to };
  };
}

/** Finds the files in directories, at any depth. */
function scanOf(
  fs: typeof Fs,
  { hasCode, eachName, removeDirectory }: Tools,
): (request: Extract<ListRequest, { op: 'scan' }>) => FileResults['scan'] {
  /** Deeper ones are none of ours. */
  const MAX_DEPTH = 8;
  /** Some thousand names. File systems count the size of a directory in different ways. */
  const SMALL_BYTES = 64 * 1024;
  /** The first `limit` names of a directory after `after`, in order. */
  const firstNames = (
    path: string,
    { size }: Fs.Stats,
    after: string,
    isInclusive: boolean,
    limit: number,
  ): string[] => {
    let first: string[] = [];
    let below: string | undefined;
    eachName(path, size < SMALL_BYTES, (name) => {
      if (name < after || (name === after && !isInclusive) || (below !== undefined && name >= below)) return;
      first.push(name);
      if (first.length < 2 * limit) return;
      first = first.toSorted().slice(0, limit);
      below = first.at(-1);
    });
    return first.toSorted().slice(0, limit);
  };

  return ({ path, directories, after, limit, budgetMs, emptySinceMs }) => {
    const found: { names: string[]; sizes: number[]; modified: number[] } = { names: [], sizes: [], modified: [] };
    const endMs = Date.now() + budgetMs;
    const isFull = (): boolean => found.names.length >= limit || (found.names.length > 0 && Date.now() > endMs);

    /** False if the answer is full. `from`: what is below `name` and was returned before. */
    const visit = (name: string, from: string, depth: number): boolean => {
      let stat: Fs.Stats;
      try {
        stat = fs.lstatSync(`${path}/${name}`);
      } catch (error) {
        // Removed meanwhile.
        if (hasCode(error, 'ENOENT', 'ENOTDIR')) return true;
        throw error;
      }
      if (stat.isDirectory()) return depth < MAX_DEPTH ? walk(name, from, depth, stat) : true;
      if (!stat.isFile()) return true;
      found.names.push(name);
      found.sizes.push(stat.size);
      found.modified.push(stat.mtimeMs);
      return !isFull();
    };
    const walk = (name: string, from: string, depth: number, stat: Fs.Stats): boolean => {
      const slash = from.indexOf('/');
      let start = slash < 0 ? from : from.slice(0, slash);
      let below = slash < 0 ? '' : from.slice(slash + 1);
      for (;;) {
        const batch = firstNames(`${path}/${name}`, stat, start, start === '' || below !== '', limit);
        // Left by a process that ended after the last chunk, and before its directory.
        if (batch.length === 0 && from === '' && stat.mtimeMs < emptySinceMs) removeDirectory(`${path}/${name}`);
        for (const next of batch) {
          if (!visit(`${name}/${next}`, next === start ? below : '', depth + 1)) return false;
        }
        if (batch.length < limit) return true;
        start = batch.at(-1)!;
        below = '';
      }
    };

    for (const [at, directory] of directories.entries()) {
      if (visit(directory, at === 0 ? after : '', 0)) continue;
      return { ...found, done: at, after: found.names.at(-1)!.slice(directory.length + 1) };
    }
    return { ...found, done: directories.length, after: '' };
  };
}

function removalOf(
  fs: typeof Fs,
  { hasCode, removeDirectory }: Tools,
): (request: Extract<ListRequest, { op: 'removeAll' }>) => FileResults['removeAll'] {
  return (request) => {
    const failures: { index: number; message: string; code: string }[] = [];
    const directories = new Set<string>();
    for (const [index, name] of request.files.entries()) {
      try {
        fs.unlinkSync(`${request.path}/${name}`);
        if (!name.startsWith('_orca/')) directories.add(name.slice(0, name.lastIndexOf('/')));
      } catch (error) {
        const { message, code = '' } = error as NodeJS.ErrnoException;
        if (!hasCode(error, 'ENOENT', 'ENOTDIR')) failures.push({ index, message, code });
      }
    }
    for (const directory of directories) removeDirectory(`${request.path}/${directory}`);
    return failures;
  };
}
