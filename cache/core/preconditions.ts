/** Evaluates the preconditions of a request in the order of RFC 9110 §13.2.2. */
import { parseHttpDate } from './http-date.ts';

export interface Preconditions {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  readonly ifModifiedSince?: string | undefined;
  readonly ifUnmodifiedSince?: string | undefined;
  readonly ifRange?: string | undefined;
}

export type PreconditionResult =
  | { readonly kind: 'proceed' }
  | { readonly kind: 'not_modified' }
  | { readonly kind: 'failed'; readonly condition: 'If-Match' | 'If-Unmodified-Since' };

/** `etag` is unquoted and strong. Times are compared in whole seconds, the resolution of HTTP dates. */
export function evaluatePreconditions(
  conditions: Preconditions,
  object: { readonly etag: string; readonly lastModifiedMs: number },
): PreconditionResult {
  const modifiedS = Math.floor(object.lastModifiedMs / 1000);
  if (conditions.ifMatch !== undefined) {
    if (!matches(conditions.ifMatch, object.etag, 'strong')) return { kind: 'failed', condition: 'If-Match' };
  } else {
    const since = seconds(conditions.ifUnmodifiedSince);
    if (since !== undefined && modifiedS > since) return { kind: 'failed', condition: 'If-Unmodified-Since' };
  }
  if (conditions.ifNoneMatch !== undefined)
    return matches(conditions.ifNoneMatch, object.etag, 'weak') ? { kind: 'not_modified' } : { kind: 'proceed' };
  const since = seconds(conditions.ifModifiedSince);
  return since !== undefined && modifiedS <= since ? { kind: 'not_modified' } : { kind: 'proceed' };
}

/** Whether the Range header applies: always without If-Range, otherwise only if If-Range names this version. */
export function rangeApplies(
  conditions: Preconditions,
  object: { readonly etag: string; readonly lastModifiedMs: number },
): boolean {
  const header = conditions.ifRange?.trim();
  if (header === undefined) return true;
  if (header.startsWith('W/')) return false;
  const date = header.startsWith('"') ? undefined : seconds(header);
  return date === undefined ? unquote(header) === object.etag : date === Math.floor(object.lastModifiedMs / 1000);
}

/**
 * Compares an ETag list with a strong `etag`. Weak comparison (If-None-Match) ignores a `W/` prefix; in strong comparison
 * (If-Match) a weak entry never matches.
 */
function matches(header: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  return header.split(',').some((entry) => {
    const candidate = entry.trim();
    return candidate === '*' || unquote(comparison === 'weak' ? candidate.replace(/^W\//, '') : candidate) === etag;
  });
}

/** S3 clients send ETags with or without quotes. */
function unquote(etag: string): string {
  return etag.length >= 2 && etag.startsWith('"') && etag.endsWith('"') ? etag.slice(1, -1) : etag;
}

/** An invalid date is ignored (RFC 9110 §13.1.3). */
function seconds(date: string | undefined): number | undefined {
  const ms = date === undefined ? undefined : parseHttpDate(date);
  return ms === undefined ? undefined : Math.floor(ms / 1000);
}
