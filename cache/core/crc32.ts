/**
 * Combines CRC-32 values: computes the CRC of a concatenation from the CRCs of its parts. A fill computes one CRC per
 * block as bytes arrive, and from them the CRC of the chunk without a second pass. As in zlib's crc32_combine, appending
 * zero bytes is a linear map over GF(2); repeated squaring of its matrix gives the maps for 2^k zero bytes.
 */
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
