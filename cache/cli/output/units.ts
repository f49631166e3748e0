/** Sizes, counts and times for people. */

const UNITS = ['B', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `0`, `512B`, `1.5Mi`, `14Ti`: as in Kubernetes' quantities, with at most three digits. */
export function formatBytes(bytes: number): string {
  if (bytes === 0) return '0';
  const sign = bytes < 0 ? '-' : '';
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const text = unit === 0 || value >= 99.95 ? String(Math.round(value)) : String(Number(value.toFixed(1)));
  return `${sign}${text}${UNITS[unit]}`;
}

/** `-` for a share of nothing. Only a whole is 100 %. */
export function formatPercent(part: number, whole: number): string {
  if (whole === 0) return '-';
  const percent = (part / whole) * 100;
  if (part < whole && percent > 99.9) return '99.9 %';
  return `${percent >= 99.95 || percent === 0 ? Math.round(percent) : Number(percent.toFixed(1))} %`;
}

/** `35s`, `5m`, `3h12m`, `2d4h`: as kubectl writes ages. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  if (ms < 2 * MINUTE_MS) return `${Math.floor(ms / 1_000)}s`;
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)}m`;
  if (ms < DAY_MS) return join(ms, HOUR_MS, 'h', MINUTE_MS, 'm');
  return join(ms, DAY_MS, 'd', HOUR_MS, 'h');
}

/** `2026-11-28T17:31:02Z` */
export function formatDate(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

const DURATION = /^(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h|d))+$/;
const DURATION_PART = /([\d.]+)(ms|s|m|h|d)/g;
const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS };

/** Undefined for anything but `500ms`, `5s`, `1m`, `2h`, `7d`, `1h30m`. */
export function parseDuration(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  let totalMs = 0;
  for (const [, number, unit = ''] of text.matchAll(DURATION_PART))
    totalMs += Number(number) * (DURATION_MS[unit] ?? 0);
  return totalMs;
}

/** `1.2/1.9Ti`, `900Mi/1.9Ti` */
export function formatBytesPair(bytes: number, ofBytes: number): string {
  const [part, whole] = [formatBytes(bytes), formatBytes(ofBytes)];
  const unit = /[A-Za-z]*$/.exec(whole)?.[0] ?? '';
  return part.endsWith(unit) && /^[\d.]+$/.test(part.slice(0, part.length - unit.length))
    ? `${part.slice(0, part.length - unit.length)}/${whole}`
    : `${part}/${whole}`;
}

function join(ms: number, largeMs: number, large: string, smallMs: number, small: string): string {
  const rest = Math.floor((ms % largeMs) / smallMs);
  return `${Math.floor(ms / largeMs)}${large}${rest === 0 ? '' : `${rest}${small}`}`;
}
