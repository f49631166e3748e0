/** Names in S3's lists, which are requested percent-encoded because XML cannot represent all of them. Pure. */
import { OrcaError } from '#cache/core/errors.ts';

/** Some servers ignore the requested encoding. */
export function nameDecoder(encodingType: string | undefined): (name: string | undefined) => string {
  return encodingType === 'url' ? decodeName : (name) => name ?? '';
}

/** AWS encodes a space as `+`, others as `%20`; a plus is always `%2B`. */
function decodeName(encoded: string | undefined): string {
  try {
    return decodeURIComponent((encoded ?? '').replaceAll('+', '%20'));
  } catch (error) {
    throw new OrcaError('origin_unavailable', 'the origin lists a key that is not percent-encoded', { cause: error });
  }
}
