/** Tar archives whose bytes depend on nothing but their entries: no clock, no users of this machine. */
import { createReadStream, readdirSync, readlinkSync, statSync, lstatSync } from 'node:fs';
import { join } from 'node:path';

export interface TarEntry {
  /** Without a leading slash; a folder's without a trailing one. */
  readonly path: string;
  readonly type: 'file' | 'folder' | 'link';
  readonly mode: number;
  /** The bytes of a file, or the path that has them. */
  readonly content?: Buffer | { readonly file: string; readonly sizeBytes: number };
  /** Where a symbolic link points to. */
  readonly target?: string;
}

const BLOCK_BYTES = 512;
/** Of `name` and `linkname` in a header; a longer one needs a pax record. */
const NAME_BYTES = 100;
const TYPES = { file: '0', link: '2', folder: '5', pax: 'x' } as const;

export function textFile(path: string, text: string, mode = 0o644): TarEntry {
  return { path, type: 'file', mode, content: Buffer.from(text) };
}

export function folder(path: string, mode = 0o755): TarEntry {
  return { path, type: 'folder', mode };
}

/** The bytes of an archive of `entries`, all with the same time and owned by root. */
export async function* tarOf(entries: Iterable<TarEntry>, mtimeSeconds = 0): AsyncGenerator<Buffer> {
  for (const entry of entries) {
    const size = sizeOf(entry);
    const records = paxRecords(entry);
    if (records.length > 0) {
      yield header({ name: 'pax', mode: 0o644, size: records.length, mtimeSeconds, type: 'pax' });
      yield records;
      yield padding(records.length);
    }
    const name = entry.type === 'folder' ? `${entry.path}/` : entry.path;
    yield header({ name, mode: entry.mode, size, mtimeSeconds, type: entry.type, target: entry.target });
    yield* contentOf(entry, size);
    yield padding(size);
  }
  yield Buffer.alloc(2 * BLOCK_BYTES);
}

function sizeOf({ content }: TarEntry): number {
  if (content === undefined) return 0;
  return Buffer.isBuffer(content) ? content.length : content.sizeBytes;
}

async function* contentOf({ content, path }: TarEntry, size: number): AsyncGenerator<Buffer> {
  if (content === undefined) return;
  if (Buffer.isBuffer(content)) {
    yield content;
    return;
  }
  let read = 0;
  for await (const part of createReadStream(content.file) as AsyncIterable<Buffer>) {
    read += part.length;
    yield part;
  }
  if (read !== size) throw new Error(`${path}: ${content.file} changed while it was read`);
}

function paxRecords({ path, type, target }: TarEntry): Buffer {
  const name = type === 'folder' ? `${path}/` : path;
  const records = [record('path', name), record('linkpath', target ?? '')];
  return Buffer.concat(records);
}

/** `LENGTH KEY=VALUE\n`, whose length counts its own digits. */
function record(key: string, value: string): Buffer {
  if (Buffer.byteLength(value) <= NAME_BYTES) return Buffer.alloc(0);
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return Buffer.from(`${length} ${key}=${value}\n`);
}

interface Header {
  readonly name: string;
  readonly mode: number;
  readonly size: number;
  readonly mtimeSeconds: number;
  readonly type: keyof typeof TYPES;
  readonly target?: string | undefined;
}

function header({ name, mode, size, mtimeSeconds, type, target = '' }: Header): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const put = (text: string, at: number, length: number) => Buffer.from(text).copy(block, at, 0, length);
  const octal = (value: number, at: number, length: number) =>
    put(`${value.toString(8).padStart(length - 1, '0')}\0`, at, length);
  put(name, 0, NAME_BYTES);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(mtimeSeconds, 136, 12);
  put(' '.repeat(8), 148, 8);
  put(TYPES[type], 156, 1);
  put(target, 157, NAME_BYTES);
  put('ustar\u000000', 257, 8);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8);
  return block;
}

function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES);
}

export interface TreeOptions {
  /** Put before each path; '' = none. */
  readonly prefix: string;
  /** Whether the entry at this path, relative to the folder, is left out. */
  readonly without?: (path: string) => boolean;
  /** Whether modes are kept; otherwise they are 0755 for folders and programs, and 0644. */
  readonly keepModes?: boolean;
}

/** Everything in a folder, sorted, so that the order in which a file system lists it does not matter. */
export function* treeOf(root: string, { prefix, without = () => false, keepModes = false }: TreeOptions) {
  yield* below('');

  function* below(relative: string): Generator<TarEntry> {
    for (const name of readdirSync(join(root, relative)).toSorted()) {
      const inside = relative === '' ? name : `${relative}/${name}`;
      if (without(inside)) continue;
      const file = join(root, inside);
      const path = prefix === '' ? inside : `${prefix}/${inside}`;
      const { mode, size } = lstatSync(file);
      const kind = lstatSync(file);
      if (kind.isSymbolicLink()) yield { path, type: 'link', mode: 0o777, target: readlinkSync(file) };
      else if (kind.isDirectory()) {
        yield folder(path, keepModes ? mode & 0o7777 : 0o755);
        yield* below(inside);
      } else {
        const plain = (mode & 0o100) === 0 ? 0o644 : 0o755;
        const content = { file, sizeBytes: size };
        yield { path, type: 'file', mode: keepModes ? mode & 0o7777 : plain, content };
      }
    }
  }
}

/** A file of this machine as an entry. */
export function fileEntry(path: string, file: string, mode: number): TarEntry {
  return { path, type: 'file', mode, content: { file, sizeBytes: statSync(file).size } };
}
