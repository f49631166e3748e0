/**
 * Which errors a client may receive, given the faults at that time. Each error must be explained by a fault, the object
 * or the request itself.
 */
import type { ErrorCode } from '#cache/core/errors.ts';
import { FILL_PART_BYTES } from '#cache/engine/fill/flight.ts';
import type { Exchange } from './client.ts';
import type { SimOrigin } from './origin.ts';
import { MISSING_KEY, wasActive, type Fault, type Scenario } from './scenario.ts';

export interface Failure {
  readonly code: ErrorCode;
  /** After the status line. */
  readonly started: boolean;
}

/** How long a fault has effects after its end: an open breaker (30 s and its probes), retries, skipped peers. */
export const AFTERMATH_MS = 60_000;

/** How old a head may be that a read uses while the origin answers. */
export function staleBoundMs({ ttlMs, staleWhileRevalidateMs }: Scenario): number {
  return ttlMs + Math.min(ttlMs, staleWhileRevalidateMs);
}

export const ORIGIN_TROUBLE: readonly Fault[] = ['origin-errors', 'origin-down', 'origin-slow'];

export const STORE_TROUBLE: readonly Fault[] = ['store-errors', 'store-down', 'store-slow', 'store-full'];
/** The engine's stall limit, less the bytes in flight when the stall begins. */
const STALL_LIMIT_MS = 25_000;
/** How long another replica may take to its first byte, even if it shows that it is alive. */
const FIRST_BYTE_LIMIT_MS = 20_000;

export function isAllowed(
  scenario: Scenario,
  origin: SimOrigin,
  exchange: Exchange,
  { code, started }: Failure,
  nowMs: number,
): boolean {
  const { plan, startedMs, version } = exchange;
  const during = (...faults: readonly Fault[]): boolean => wasActive(scenario, faults, startedMs - AFTERMATH_MS, nowMs);
  const history = origin.history(plan.key);
  /** Versions that a replica may take for the current one. */
  const sinceMs = scenario.faults.has('clock-step')
    ? -Infinity
    : startedMs - staleBoundMs(scenario) - Math.min(scenario.negativeTtlMs, scenario.ttlMs);
  const believable = history.filter(({ diedMs }) => diedMs >= sinceMs);
  const changed =
    history.some(({ bornMs }) => bornMs > 0 && bornMs >= startedMs) ||
    history.some(({ diedMs }) => diedMs >= startedMs && diedMs <= nowMs);
  switch (code) {
    case 'not_found':
      return plan.key === MISSING_KEY || wasDeleted(history, sinceMs, nowMs);
    case 'range_not_satisfiable':
      return (plan.range?.from ?? -1) >= 0 && believable.some(({ sizeBytes }) => (plan.range?.from ?? -1) >= sizeBytes);
    case 'precondition_failed':
      return exchange.etags.ifMatch !== undefined && believable.some(({ etag }) => etag !== exchange.etags.ifMatch);
    case 'object_changed':
      // Before the status line the object is resolved again once, so it must have changed twice, or no source has it.
      if (during('origin-flaps')) return true;
      return started ? version !== undefined && version.diedMs <= nowMs : changed;
    case 'access_denied':
    case 'origin_denied':
    case 'origin_throttled':
      return during('origin-errors');
    case 'origin_unavailable':
      return during(...ORIGIN_TROUBLE) || (isSlowLine(scenario) && nowMs - startedMs >= FIRST_BYTE_LIMIT_MS);
    case 'overloaded':
      // Few slots at the origin and little memory explain it, but not for a response that has started.
      return !started && (scenario.targetGlobal < 192 || scenario.faults.has('pressure'));
    case 'cancelled':
      // While the cachestore is down, the engine does not wait for a stalled client.
      return started && plan.pauseMs >= STALL_LIMIT_MS && during(...STORE_TROUBLE);
    default:
      return false;
  }
}

/** A reader of the end of a part in flight may wait too long for its first byte. */
function isSlowLine({ origin }: Scenario): boolean {
  return FILL_PART_BYTES / origin.bytesPerMs >= FIRST_BYTE_LIMIT_MS;
}

/** Whether the object was absent at some time in `[fromMs, toMs]`. */
function wasDeleted(history: ReturnType<SimOrigin['history']>, fromMs: number, toMs: number): boolean {
  return history.some(({ diedMs }, index) => {
    const backMs = history[index + 1]?.bornMs ?? Infinity;
    return diedMs <= toMs && backMs > fromMs && backMs > diedMs;
  });
}
