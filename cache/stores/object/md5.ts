/** The MD5 of a body, for stores that know no cheaper checksum. */
import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { cancelledBy } from '#cache/wire/http1/sink.ts';

/** Hashed per turn of the event loop, about 2 ms: streams must not wait for the MD5 of a whole chunk. */
const HASHED_PER_TURN_BYTES = 1024 * 1024;

/** In base64, as `Content-MD5` has it. */
export async function md5Of(pieces: readonly Uint8Array[], signal: AbortSignal): Promise<string> {
  const hash = createHash('md5');
  let hashedBytes = 0;
  for (const piece of pieces)
    for (let at = 0; at < piece.length; at += HASHED_PER_TURN_BYTES) {
      const part = piece.subarray(at, at + HASHED_PER_TURN_BYTES);
      hash.update(part);
      hashedBytes += part.length;
      if (hashedBytes < HASHED_PER_TURN_BYTES) continue;
      hashedBytes = 0;
      await turn();
      if (signal.aborted) throw cancelledBy(signal);
    }
  return hash.digest('base64');
}
