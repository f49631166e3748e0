/** A date in a header, as HTTP (RFC 9110 §5.6.7) or RFC 3339 writes it. What is neither is none: Date.parse guesses. */

const WRITTEN = new RegExp(
  [
    String.raw`[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (?:GMT|UTC)`,
    String.raw`[A-Z][a-z]{5,8}, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT`,
    String.raw`(?<asctime>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})`,
    String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)`,
  ]
    .map((form) => `^${form}$`)
    .join('|'),
);

/** Milliseconds since the epoch; undefined for what is no date. */
export function parseHttpDate(text: string): number | undefined {
  const match = WRITTEN.exec(text.trim());
  if (match === null) return undefined;
  // The one form that names no zone means UTC.
  const ms = Date.parse(match.groups?.['asctime'] === undefined ? match[0] : `${match[0]} GMT`);
  return Number.isNaN(ms) ? undefined : ms;
}
