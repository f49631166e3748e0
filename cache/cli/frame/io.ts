/** Where the program writes, as values: tests pass their own. */

export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** Whether stdout is a terminal: only then are there colors and screens that are redrawn. */
  readonly isTerminal: boolean;
  /** Whether stderr is a terminal: only then is there progress. */
  readonly showsProgress: boolean;
  size(): { readonly columns: number; readonly rows: number };
  readonly color: Colors;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Colors {
  red(text: string): string;
  yellow(text: string): string;
  green(text: string): string;
  bold(text: string): string;
  dim(text: string): string;
}

/** Without a terminal that is known, as wide and as high as most. */
const COLUMNS = 120;
const ROWS = 40;

export function processIo(process: NodeJS.Process): Io {
  const isTerminal = process.stdout.isTTY;
  const { env } = process;
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isTerminal,
    showsProgress: process.stderr.isTTY,
    size: () => ({ columns: process.stdout.columns || COLUMNS, rows: process.stdout.rows || ROWS }),
    // https://no-color.org
    color: colors(isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'),
    env,
  };
}

export function colors(isOn: boolean): Colors {
  const paint =
    (code: number) =>
    (text: string): string =>
      isOn ? `\u001b[${code}m${text}\u001b[0m` : text;
  return { red: paint(31), yellow: paint(33), green: paint(32), bold: paint(1), dim: paint(2) };
}
