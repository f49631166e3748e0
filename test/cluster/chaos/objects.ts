/** The objects of the cases, by name: those that are read before a case begins, and those that were never read. */

const KIB = 1024;
const MIB = 1024 * KIB;
const KNOWN_FOLDER = 'known/';

export const LARGE_BYTES = 20 * MIB;
/** Objects of one chunk (8 MiB). */
export const SMALL: readonly string[] = Array.from(
  { length: 24 },
  (_, i) => `${KNOWN_FOLDER}small-${i}-${16 * KIB + i * 20 * KIB}`,
);
/** Objects of several chunks. */
export const LARGE: readonly string[] = Array.from(
  { length: 4 },
  (_, i) => `${KNOWN_FOLDER}large-${i}-${LARGE_BYTES + i * 1_000}`,
);
export const KNOWN: readonly string[] = [...SMALL, ...LARGE];

export function isKnown(key: string): boolean {
  return key.startsWith(KNOWN_FOLDER);
}

export function newKey(name: string, sizeBytes: number): string {
  return `new/${name}-${sizeBytes}`;
}
