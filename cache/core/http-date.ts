/**
 * Parses dates in headers: the formats of HTTP (RFC 9110 §5.6.7) and RFC 3339. Any other text is rejected before it
 * reaches Date.parse, which guesses.
 */

const FORMATS = new RegExp(
  [
    String.raw`[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (?:GMT|UTC)`,
    String.raw`[A-Z][a-z]{5,8}, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT`,
    String.raw`(?<asctime>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})`,
    String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)`,
  ]
    .map((format) => `^${format}$`)
    .join('|'),
);

/** Milliseconds since the epoch; undefined if `text` is not a date. */
export function parseHttpDate(text: string): number | undefined {
  const match = FORMATS.exec(text.trim());
  if (match === null) return undefined;
  // Only asctime has no zone; it is in UTC.
  const ms = Date.parse(match.groups?.['asctime'] === undefined ? match[0] : `${match[0]} GMT`);
  return Number.isNaN(ms) ? undefined : ms;
}
