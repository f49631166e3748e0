/** The objects of the tests of prewarming: many sizes, and names that programs often encode wrong. */
import { bytesAt, etagOf, isAt } from '#hack/demo-support/synthetic-bytes.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

export const CHUNK_BYTES = MIB;

export interface TestObject {
  readonly key: string;
  readonly sizeBytes: number;
}

/** Parts of keys. versitygw stores objects as files, so no part is empty or longer than 255 bytes. */
const AWKWARD: readonly string[] = [
  'with spaces (parentheses) [brackets]',
  '1+1=2 & more, really; yes!',
  '100% or 100%25 or %2F',
  'naïve café, Ωμέγα, 漢字, 🐋',
  // The same text decomposed is another key.
  'naïve café'.normalize('NFD'),
  'it\'s "quoted", `ticked`, $HOME and ~tilde',
  'question?mark#hash@at:colon',
  'back\\slash |pipe| <angle> {brace} ^',
  'a/deeply/nested/key/with/slashes',
  '.hidden/..two dots/...three',
  '*/**/[a-z]?',
  ' leading and trailing space ',
  'tab\there and line\nfeed',
  '-rf --help',
  'x'.repeat(240),
];
/** Sizes at the limits of chunk arithmetic. */
const EDGE_SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] as const;
/** The sizes of the other objects, relative to each other: the largest is 12 times the smallest. */
const WEIGHTS = [1, 2, 3, 4, 6, 8, 12] as const;

/** `count` objects with about `totalBytes` together, below a prefix that ends in a slash. */
export function awkwardObjects(prefix: string, count: number, totalBytes: number): TestObject[] {
  const weights = Array.from({ length: count - EDGE_SIZES.length }, (_, i) => WEIGHTS[i % WEIGHTS.length]!);
  const unitBytes = totalBytes / weights.reduce((sum, weight) => sum + weight, 0);
  // Odd sizes, so that most objects end within a chunk.
  const sizes = [...EDGE_SIZES, ...weights.map((weight, i) => Math.floor(weight * unitBytes) + i)];
  return sizes.map((sizeBytes, i) => {
    const part = AWKWARD[i % AWKWARD.length]!;
    const number = Math.floor(i / AWKWARD.length);
    // As a folder and as the name of the object.
    return { key: `${prefix}${number % 2 === 0 ? `${part}/${number}` : `${number} ${part}`}`, sizeBytes };
  });
}

/** Objects of the same size with plain names. */
export function plainObjects(prefix: string, count: number, sizeBytes: number): TestObject[] {
  return Array.from({ length: count }, (_, i) => ({ key: `${prefix}${String(i).padStart(4, '0')}`, sizeBytes }));
}

export function totalBytes(objects: readonly TestObject[]): number {
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** The content follows from the key, so that gigabytes can be compared without keeping them. */
export function contentOf({ key, sizeBytes }: TestObject): Buffer {
  const etag = etagOf('', key);
  const content = Buffer.allocUnsafe(sizeBytes);
  for (let at = 0; at < sizeBytes;) at += bytesAt(etag, at, sizeBytes - at).copy(content, at);
  return content;
}

export function isContentOf({ key, sizeBytes }: TestObject, body: Buffer): boolean {
  return body.length === sizeBytes && isAt(etagOf('', key), 0, body);
}
