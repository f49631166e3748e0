/** The tree that every client reads: names that tools often mishandle, sizes around the chunk size, an empty object. */
import { createHash } from 'node:crypto';
import { patternBytes } from '#test/support/engines.ts';

const MIB = 1024 * 1024;

export interface TreeObject {
  readonly key: string;
  readonly body: Buffer;
  readonly sha256: string;
}

/** All names are valid file names too, because sync and copy write them to a directory. */
const SIZES: Readonly<Record<string, number>> = {
  'plain.txt': 10,
  empty: 0,
  'with spaces  in it.txt': 1_000,
  'parentheses (1) [2].txt': 1_001,
  'plus+and&and=and;.txt': 1_002,
  'percent%41%2F%25.txt': 1_003,
  'quotes\'"`.txt': 1_004,
  'question?mark#hash.txt': 1_005,
  'star*at@colon:comma,.txt': 1_006,
  'accents-éàüñ.txt': 1_007,
  'unicode-模型-🦀.bin': 1_008,
  'tilde~caret^pipe|brace{}.txt': 1_009,
  'angle<>equals=dollar$exclam!.txt': 1_010,
  ' leading space.txt': 1_011,
  '.hidden': 1_012,
  'e\u0301 decomposed.txt': 1_013,
  'no-extension': 1_014,
  [`${'long-'.repeat(40)}.txt`]: 1_015,
  'a/b/c/d/e/f/g/deep.txt': 1_016,
  'dir/one.bin': MIB,
  'dir/two.bin': MIB + 1,
  'dir/sub dir/three.bin': 3 * MIB - 1,
  'dir-with-dash/four.bin': 5,
  'large.bin': 20 * MIB + 123,
};

export const TREE: readonly TreeObject[] = Object.entries(SIZES).map(([key, sizeBytes], index) => {
  const body = patternBytes(sizeBytes, index);
  return { key, body, sha256: sha256(body) };
});

/** `[key, from, to)`. */
export const RANGES: readonly (readonly [string, number, number])[] = [
  ['large.bin', 0, 1],
  ['large.bin', MIB - 10, MIB + 10],
  ['large.bin', 7 * MIB + 3, 12 * MIB + 5],
  ['large.bin', 20 * MIB + 100, 20 * MIB + 123],
  ['with spaces  in it.txt', 3, 500],
];

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
