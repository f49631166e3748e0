/** Request IDs in the form of S3's: 16 hex digits, of which the first half is the process and the second half the request. */
import { randomBytes } from 'node:crypto';

const RANGE = 2 ** 32;
/** Odd, so that all values below RANGE occur before the first one repeats; consecutive ones have nothing in common. */
const STEP = 0x9e37_79b9;

const PROCESS = randomBytes(4).toString('hex').toUpperCase();
let last = randomBytes(4).readUInt32LE();

export function newRequestId(): string {
  last = (last + STEP) % RANGE;
  return PROCESS + last.toString(16).padStart(8, '0').toUpperCase();
}
