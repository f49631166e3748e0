/** Request IDs in the form of S3's: 16 hex digits, of which the first half is the process and the second half the request. */
import { randomBytes } from 'node:crypto';

const RANGE = 2 ** 32;
/** Odd, so that all values below RANGE occur before the first one repeats; consecutive ones have nothing in common. */
const STEP = 0x9e37_79b9;

/** The bytes as two digits each. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0').toUpperCase());
const PROCESS = randomBytes(4).toString('hex').toUpperCase();
let last = randomBytes(4).readUInt32LE();

export function newRequestId(): string {
  last = (last + STEP) % RANGE;
  return PROCESS + HEX[last >>> 24]! + HEX[(last >>> 16) & 0xff]! + HEX[(last >>> 8) & 0xff]! + HEX[last & 0xff]!;
}
