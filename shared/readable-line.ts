/** A line of the log for people at a terminal, from the JSON that machines read. Pure. */

const RESET = '\u{1B}[0m';
const DIM = '\u{1B}[2m';
const COLORS: Readonly<Record<string, string>> = { warn: '\u{1B}[33m', error: '\u{1B}[31m' };
/** The longest level has five letters. */
const LEVEL_WIDTH = 5;
/** Known at a terminal, where one program writes. */
const HIDDEN = new Set(['level', 'time', 'name', 'pid', 'hostname', 'message']);

/** `14:03:07.123 WARN  the message  field=value other="two words"`. Text that is not JSON stays as it is. */
export function readableLine(json: string, hasColors: boolean): string {
  const fields = parse(json);
  if (fields === undefined) return json;
  const paint = (text: string, color: string | undefined): string =>
    hasColors && color !== undefined ? `${color}${text}${RESET}` : text;
  const level = textOf(fields['level']);
  const shown = Object.entries(fields).filter(([name, value]) => !HIDDEN.has(name) && value !== undefined);
  const values = shown.map(([name, value]) => `${paint(`${name}=`, DIM)}${valueText(value)}`);
  return [
    `${paint(timeOf(fields['time']), DIM)} ${paint(level.toUpperCase().padEnd(LEVEL_WIDTH), COLORS[level])}`,
    [printable(textOf(fields['message'])), ...values].join('  '),
  ].join(' ');
}

function parse(json: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = JSON.parse(json) as unknown;
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The time of day where the reader is. */
function timeOf(time: unknown): string {
  const date = new Date(typeof time === 'string' || typeof time === 'number' ? time : Number.NaN);
  if (Number.isNaN(date.getTime())) return '--:--:--.---';
  const pad = (value: number, width = 2): string => String(value).padStart(width, '0');
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
}

function valueText(value: unknown): string {
  if (typeof value !== 'string') return printable(JSON.stringify(value) ?? String(value));
  return printable(/^[^\s"=]+$/.test(value) ? value : JSON.stringify(value));
}

/** Clients choose some texts: none of them may move the cursor or forge a line. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, (control) =>
    JSON.stringify(control)
      .slice(1, -1)
      .replace(/^[^\\].*/u, '?'),
  );
}
