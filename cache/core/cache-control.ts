/** `Cache-Control` of a client's request (RFC 9111 §5.2.1): which stored answers the client accepts. */

export interface ClientCacheControl {
  /** The client accepts nothing that is as old as this; 0 = revalidate (`no-cache`). Undefined = no limit. */
  readonly maxAgeMs: number | undefined;
  /** The origin must not be queried: what is stored, or 504. */
  readonly onlyIfCached: boolean;
}

export const ACCEPTS_ALL: ClientCacheControl = { maxAgeMs: undefined, onlyIfCached: false };

/** Seconds; more digits than these mean no limit, as for 2^31 in RFC 9111 §1.2.2. */
const DELTA_SECONDS = /^\d{1,10}$/;

/**
 * Unknown directives are ignored, and so are malformed ones: a hint must not fail a read. `no-store`, `max-stale` and
 * `min-fresh` have no effect.
 */
export function parseCacheControl(header: string | undefined): ClientCacheControl {
  if (header === undefined || header === '') return ACCEPTS_ALL;
  let maxAgeMs: number | undefined;
  let onlyIfCached = false;
  for (const directive of header.split(',')) {
    const equals = directive.indexOf('=');
    const name = (equals === -1 ? directive : directive.slice(0, equals)).trim().toLowerCase();
    if (name === 'no-cache') maxAgeMs = 0;
    else if (name === 'only-if-cached') onlyIfCached = true;
    else if (name === 'max-age' && equals !== -1) {
      // Some clients quote the number, which a recipient should accept.
      const seconds = directive
        .slice(equals + 1)
        .replaceAll('"', '')
        .trim();
      if (DELTA_SECONDS.test(seconds)) maxAgeMs = Math.min(maxAgeMs ?? Infinity, Number(seconds) * 1000);
    }
  }
  return { maxAgeMs, onlyIfCached };
}
