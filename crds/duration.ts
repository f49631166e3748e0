/** Converts durations in Kubernetes notation (`100ms`, `5s`, `1h30m`) to milliseconds and back. Pure. */

/**
 * The CRD's rules use the same pattern, so the API server and the pod accept the same durations. The number of digits
 * is bounded so that no text within the schema's length overflows the API server's int64 nanoseconds (292 years).
 */
export const DURATION_PATTERN = '^([0-9]{1,7}(ms|s|m)|[0-9]{1,5}h)+$';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const WHOLE = new RegExp(DURATION_PATTERN);
const PART = /(\d+)(ms|s|m|h)/g;

/** Milliseconds, or undefined if `text` is not a duration. */
export function parseDuration(text: string): number | undefined {
  if (!WHOLE.test(text)) return undefined;
  let totalMs = 0;
  for (const [, digits, unit] of text.matchAll(PART)) totalMs += Number(digits) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
  return Number.isSafeInteger(totalMs) ? totalMs : undefined;
}

/** The shortest text that `parseDuration` converts back to `durationMs`, largest unit first. */
export function formatDuration(durationMs: number): string {
  let restMs = durationMs;
  let text = '';
  for (const unit of ['h', 'm', 's', 'ms']) {
    const unitMs = UNIT_MS[unit] ?? 1;
    const count = Math.floor(restMs / unitMs);
    if (count > 0) text += `${count}${unit}`;
    restMs -= count * unitMs;
  }
  return text === '' ? '0s' : text;
}
