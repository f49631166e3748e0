/** When a finished prewarm is deleted (`ttlSecondsAfterFinished`). Pure. */
import { parseDuration } from '#crds/duration.ts';
import type { OrcaPrewarm } from '#operator/api/orca-prewarm.ts';
import { isOver } from './run.ts';

/**
 * Undefined = never: without a TTL, with a schedule, or while a pin without an end depends on the resource. With a pin
 * that ends, not before that.
 */
export function expiryMs(prewarm: OrcaPrewarm): number | undefined {
  const { spec, status } = prewarm;
  const { ttlSecondsAfterFinished, pin } = spec;
  if (!isOver(prewarm) || ttlSecondsAfterFinished === undefined || status?.completionTime === undefined)
    return undefined;
  const endedMs = Date.parse(status.completionTime);
  const afterTtlMs = endedMs + ttlSecondsAfterFinished * 1000;
  if (pin === undefined || status.pin !== 'Pinned') return afterTtlMs;
  if (pin.ttl === undefined) return undefined;
  return Math.max(afterTtlMs, endedMs + (parseDuration(pin.ttl) ?? 0));
}
