/** Chooses the files to upload: real files of this machine, under their own names and under names that clients often encode wrong. */
import type { Dirent } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Failure } from './failure.ts';
import { CHUNK_BYTES } from './names.ts';

export interface SourceFile {
  readonly key: string;
  /** Bytes `[offset, offset + sizeBytes)` of the file. */
  readonly file: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

interface Candidate {
  readonly file: string;
  readonly key: string;
  readonly sizeBytes: number;
}

const MIB = 1024 * 1024;
/** At least one object of 100 MiB, which has several chunks of the larger size. */
const LARGE_BYTES = 100 * MIB;
/** Uploads keep a few objects in memory. */
const MAX_OBJECT_BYTES = 256 * MIB;
const MIN_FILE_BYTES = 64 * 1024;
const MIN_OBJECTS = 24;
/** Share of the total bytes in large files; the other files have an ordinary size. */
const LARGE_SHARE = 0.6;
const ORDINARY_BYTES = 16 * MIB;
/** System folders are wide rather than deep, and contain enough files above this depth. */
const MAX_DEPTH = 8;
const MAX_FILES = 20_000;
const PACKAGE_FOLDERS = ['/usr/bin', '/usr/lib', '/usr/libexec', '/usr/share', '/usr/local'];

/** Each of these names has been encoded wrong by some client, proxy or cache. */
export const AWKWARD_NAMES: readonly string[] = [
  'names/with spaces and (parentheses) [brackets].bin',
  'names/1+1=2 & more, really; yes!.bin',
  'names/100% or 100%25 or %2F.bin',
  'names/déjà vu – naïve café, Ωμέγα, 漢字, 🐋.bin',
  'names/it\'s "quoted", `ticked`, $HOME and ~tilde.bin',
  'names/question?mark#hash@at:colon.bin',
  'names/back\\slash and |pipe| and <angle> and {brace} and ^.bin',
  'names/a/deeply/nested/key/with/many/slashes/in/it.bin',
  'names/.hidden/..two dots/...three/name..bin',
  `names/${Array.from({ length: 4 }, (_, index) => String(index).repeat(240)).join('/')}/1000 bytes.bin`,
];

/** Sizes at the limits of chunk arithmetic. */
const EDGE_SIZES: readonly (readonly [key: string, sizeBytes: number])[] = [
  ['sizes/empty', 0],
  ['sizes/one byte', 1],
  ['sizes/one byte less than a chunk', CHUNK_BYTES - 1],
  ['sizes/exactly one chunk', CHUNK_BYTES],
  ['sizes/one byte more than a chunk', CHUNK_BYTES + 1],
  ['sizes/exactly three chunks', 3 * CHUNK_BYTES],
];

/** At least `totalBytes` in at least 24 objects, one of them over 100 MiB. */
export async function chooseSourceFiles(totalBytes: number, toolsFolder: string): Promise<SourceFile[]> {
  const candidates = await findFiles([
    [toolsFolder, 'tools'],
    [dirname(process.execPath), 'node'],
    ...PACKAGE_FOLDERS.map((folder) => [folder, folder.slice(1)] as const),
  ]);
  const largest = candidates.find(({ sizeBytes }) => sizeBytes >= LARGE_BYTES);
  if (largest === undefined)
    throw new Failure(
      `no file between ${LARGE_BYTES} and ${MAX_OBJECT_BYTES} bytes in ${toolsFolder} or ${PACKAGE_FOLDERS.join(', ')}`,
    );

  const chosen: SourceFile[] = EDGE_SIZES.map(([key, sizeBytes]) => ({
    key,
    file: largest.file,
    offset: 0,
    sizeBytes,
  }));
  const ordinary = candidates.filter(({ sizeBytes }) => sizeBytes <= ORDINARY_BYTES);
  // Every n-th of the files, which are sorted by size: a sample of all sizes.
  const stride = Math.max(1, Math.floor(ordinary.length / AWKWARD_NAMES.length));
  for (const [index, key] of AWKWARD_NAMES.entries()) {
    const { file, sizeBytes } = ordinary[index * stride] ?? largest;
    chosen.push({ key, file, offset: 0, sizeBytes });
  }

  let sum = chosen.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
  const take = (files: readonly Candidate[], untilBytes: number, round: number): void => {
    for (const { file, key, sizeBytes } of files) {
      if (sum >= untilBytes) return;
      chosen.push({ key: round === 1 ? key : `copy ${round}/${key}`, file, offset: 0, sizeBytes });
      sum += sizeBytes;
    }
  };
  const large = candidates.filter(({ sizeBytes }) => sizeBytes > ORDINARY_BYTES);
  // If the machine has too few files, uploads them again under other names.
  for (let round = 1; sum < totalBytes; round++) {
    take(large, totalBytes * LARGE_SHARE, round);
    take(ordinary, totalBytes, round);
  }
  if (chosen.length < MIN_OBJECTS)
    throw new Failure(`found ${chosen.length} objects to upload, at least ${MIN_OBJECTS} are required`);
  return chosen;
}

export async function readSource({ file, offset, sizeBytes }: SourceFile): Promise<Buffer> {
  const bytes = await readSlice(file, offset, sizeBytes);
  if (bytes.length !== sizeBytes) throw new Failure(`${file} changed during the demo`);
  return bytes;
}

export async function readSlice(file: string, offset: number, lengthBytes: number): Promise<Buffer> {
  await using handle = await open(file);
  const bytes = Buffer.allocUnsafe(lengthBytes);
  let done = 0;
  while (done < lengthBytes) {
    const { bytesRead } = await handle.read(bytes, done, lengthBytes - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

/** Largest first. */
async function findFiles(roots: readonly (readonly [folder: string, keyPrefix: string])[]): Promise<Candidate[]> {
  const found: Candidate[] = [];
  // Skips hard links to the same file.
  const seen = new Set<string>();
  const visit = async (folder: string, keyPrefix: string, depth: number): Promise<void> => {
    let entries: Dirent[];
    try {
      entries = await readdir(folder, { withFileTypes: true });
    } catch (error) {
      // The folder does not exist, or is not readable.
      if (isFileError(error)) return;
      throw error;
    }
    for (const entry of entries) {
      if (found.length >= MAX_FILES) return;
      const path = join(folder, entry.name);
      const key = `${keyPrefix}/${entry.name}`;
      if (entry.isDirectory() && depth < MAX_DEPTH) await visit(path, key, depth + 1);
      if (!entry.isFile()) continue;
      const { size, dev, ino } = await lstat(path);
      const identity = `${dev}:${ino}`;
      if (size < MIN_FILE_BYTES || size > MAX_OBJECT_BYTES || seen.has(identity)) continue;
      seen.add(identity);
      found.push({ file: path, key, sizeBytes: size });
    }
  };
  for (const [folder, keyPrefix] of roots) await visit(folder, keyPrefix, 1);
  return found.toSorted((a, b) => b.sizeBytes - a.sizeBytes || basename(a.file).localeCompare(basename(b.file)));
}

function isFileError(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && ['ENOENT', 'EACCES', 'EPERM', 'ENOTDIR'].includes(String(error.code))
  );
}
