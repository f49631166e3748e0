/** Formats tables and numbers for the terminal. */

export type Align = 'left' | 'right';

export interface Column {
  readonly title: string;
  readonly align?: Align;
}

export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(width(title), ...rows.map((row) => width(row[index] ?? ''))),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align = 'right' }, index) => pad(cells[index] ?? '', widths[index] ?? 0, align))
      .join('  ')
      .trimEnd();
  return [
    line(columns.map(({ title }) => title)),
    widths.map((size) => '─'.repeat(size)).join('  '),
    ...rows.map(line),
  ];
}

function pad(text: string, size: number, align: Align): string {
  const space = ' '.repeat(Math.max(0, size - width(text)));
  return align === 'left' ? text + space : space + text;
}

/** Correct for the text of the demo, in which each character is one UTF-16 code unit. */
function width(text: string): number {
  return text.length;
}

const GROUPED = new Intl.NumberFormat('en-US');

/** All digits, so that two byte counts can be compared. */
export function exact(count: number): string {
  return GROUPED.format(count);
}

export function seconds(durationMs: number): string {
  return (durationMs / 1000).toFixed(1);
}

/** Decimal megabytes, as networks and disks are measured. */
export function megabytesPerSecond(bytes: number, durationMs: number): string {
  return durationMs === 0 ? '' : (bytes / 1000 / durationMs).toFixed(0);
}

export function percent(part: number, whole: number): string {
  return whole === 0 ? '0 %' : `${((100 * part) / whole).toFixed(0)} %`;
}
