/**
 * When the origin last refused lists: a page from before that is never served again, also not in an outage. A missing
 * bucket or rejected credentials concern the whole bucket; a denied list concerns its prefix, because policies allow
 * lists by prefix.
 */
import { codeOf } from '#cache/core/errors.ts';

/** Each takes less than 1 KiB. Clients can ask for any number of denied prefixes. */
const MAX_MARKS = 10_000;
const NEVER = Number.NEGATIVE_INFINITY;

/** What a response of the origin refuses; undefined = nothing. */
export type RefusalScope = 'bucket' | 'prefix';

export function refusalScope(error: unknown): RefusalScope | undefined {
  switch (codeOf(error)) {
    case 'access_denied':
      return 'prefix';
    case 'bucket_not_found':
    case 'origin_denied':
      return 'bucket';
    default:
      return undefined;
  }
}

export class ListRefusals {
  readonly #marks = new Map<string, number>();
  /** The latest refusal that was forgotten: it may concern any page. */
  #floorMs = NEVER;

  refuse(scope: RefusalScope, bucket: string, prefix: string, nowMs: number): void {
    this.#mark(scope === 'bucket' ? bucket : ofPrefix(bucket, prefix), nowMs);
  }

  /** When a list of this prefix was last refused. */
  lastMs(bucket: string, prefix: string): number {
    const marks = [bucket, ofPrefix(bucket, prefix)].map((name) => this.#marks.get(name) ?? NEVER);
    return Math.max(this.#floorMs, ...marks);
  }

  #mark(name: string, nowMs: number): void {
    const lastMs = this.#marks.get(name) ?? NEVER;
    this.#marks.delete(name);
    this.#marks.set(name, Math.max(lastMs, nowMs));
    for (const [oldest, ms] of this.#marks) {
      if (this.#marks.size <= MAX_MARKS) break;
      this.#marks.delete(oldest);
      this.#floorMs = Math.max(this.#floorMs, ms);
    }
  }
}

/** No bucket name contains a NUL. */
function ofPrefix(bucket: string, prefix: string): string {
  return `${bucket}\0${prefix}`;
}
