/**
 * A credential with a lifetime: requested once for all callers, renewed shortly before it expires while the old one is
 * still used, and requested again only after a pause if that failed.
 */
import type { OrcaError } from '#cache/core/errors.ts';
import { withLimit } from './bounded.ts';

/**
 * An identity service answers within a second. One that does not is down; the request that waits for it may fail
 * meanwhile, and has no use for a late answer.
 */
const ISSUE_TIMEOUT_MS = 10_000;
/** How long before its expiry a credential is renewed: five minutes, as in the SDKs of AWS and Entra. */
const RENEW_BEFORE_MS = 300_000;
/** The pause after a failure, so that not every request repeats it. */
const RETRY_AFTER_MS = 2_000;

export interface Issued<T> {
  readonly value: T;
  /** Infinity = never expires. */
  readonly lifetimeMs: number;
}

export interface RenewingOptions<T> {
  /** One request for a new credential. It is abandoned after the time limit, whatever it does with its signal. */
  readonly issue: (signal: AbortSignal) => Promise<Issued<T>>;
  /** The error of a request that took too long. */
  readonly late: (limitMs: number) => OrcaError;
  readonly timeoutMs?: number | undefined;
  /** A monotonic clock in ms. */
  readonly now?: (() => number) | undefined;
}

interface Held<T> {
  readonly value: T;
  readonly renewMs: number;
  readonly expiresMs: number;
}

/** Nothing is requested before the first call. Rejects with what `issue` threw. */
export function openRenewing<T>(options: RenewingOptions<T>): () => Promise<T> {
  const { issue, late, timeoutMs = ISSUE_TIMEOUT_MS, now = () => performance.now() } = options;
  let held: Held<T> | undefined;
  let failed: { readonly error: unknown; readonly untilMs: number } | undefined;
  let running: Promise<Held<T>> | undefined;

  const renew = async (): Promise<Held<T>> => {
    try {
      const startedMs = now();
      const { value, lifetimeMs } = await withLimit(timeoutMs, () => late(timeoutMs), undefined, issue);
      failed = undefined;
      held = {
        value,
        expiresMs: startedMs + lifetimeMs,
        // After half of a short lifetime, so that not every request renews it.
        renewMs: startedMs + Math.max(lifetimeMs - RENEW_BEFORE_MS, lifetimeMs / 2),
      };
      return held;
    } catch (error) {
      failed = { error, untilMs: now() + RETRY_AFTER_MS };
      throw error;
    } finally {
      running = undefined;
    }
  };
  return async () => {
    const known = held;
    if (known !== undefined && now() < known.renewMs) return known.value;
    const isGood = known !== undefined && now() < known.expiresMs;
    if (failed !== undefined && now() < failed.untilMs) {
      if (isGood) return known.value;
      throw failed.error;
    }
    const renewing = (running ??= renew());
    if (!isGood) return (await renewing).value;
    // The old one stays valid for minutes: nothing waits for the new one, and a failure is kept for later calls.
    renewing.catch(() => undefined);
    return known.value;
  };
}
