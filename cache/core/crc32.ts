/**
 * CRC-32 of bytes, and of a concatenation from the CRCs of its parts. A fill computes one CRC per block as bytes arrive, and
 * from them the CRC of the chunk without a second pass. As in zlib's crc32_combine, appending zero bytes is a linear map
 * over GF(2); repeated squaring of its matrix gives the maps for 2^k zero bytes.
 */
import { createRequire } from 'node:module';
import { crc32 as portableCrc32 } from 'node:zlib';

/** The CRC-32 of zlib, of `bytes` or of what had the CRC `initial` followed by `bytes`. */
type Crc32 = (bytes: Uint8Array, initial?: number) => number;

/** Why the library with vector instructions cannot be used on this platform; undefined = it is used. */
export const { crc32, crc32Problem } = loadCrc32();

/** A native library: a platform without one computes the same values, three times slower (docs/adr/0026-crc32-library.md). */
function loadCrc32(): { readonly crc32: Crc32; readonly crc32Problem: string | undefined } {
  try {
    const native = createRequire(import.meta.url)('@node-rs/crc32') as { readonly crc32: Crc32 };
    return { crc32: native.crc32, crc32Problem: undefined };
  } catch (error) {
    const [problem] = (error instanceof Error ? error.message : String(error)).split('\n');
    return { crc32: portableCrc32, crc32Problem: problem };
  }
}

const POLYNOMIAL = 0xedb88320;

/** The matrices for 2^k zero bytes, by `k`. Cached, because computing them costs more than the CRC of a block. */
const zeroBytes: Uint32Array[] = [];

/** `combine(crc32(a), crc32(b), b.length) === crc32(a ‖ b)`. */
export function combineCrc32(first: number, second: number, secondLengthBytes: number): number {
  let crc = first;
  for (let length = secondLengthBytes, k = 0; length > 0; length = Math.floor(length / 2), k++)
    if (length % 2 === 1) crc = times(zeroBytesAt(k), crc);
  return secondLengthBytes === 0 ? first >>> 0 : (crc ^ second) >>> 0;
}

function zeroBytesAt(k: number): Uint32Array {
  while (zeroBytes.length <= k) {
    const last = zeroBytes.at(-1);
    // Three squarings turn the matrix of one zero bit into that of one zero byte.
    zeroBytes.push(last === undefined ? square(square(square(zeroBit()))) : square(last));
  }
  return zeroBytes[k]!;
}

function zeroBit(): Uint32Array {
  const matrix = new Uint32Array(32);
  matrix[0] = POLYNOMIAL;
  for (let bit = 1; bit < 32; bit++) matrix[bit] = 2 ** (bit - 1);
  return matrix;
}

function times(matrix: Uint32Array, vector: number): number {
  let sum = 0;
  for (let bit = 0; bit < 32; bit++) if ((vector >>> bit) & 1) sum ^= matrix[bit]!;
  return sum;
}

function square(matrix: Uint32Array): Uint32Array {
  return matrix.map((column) => times(matrix, column));
}
