/** Progress on standard output: one line for each step, with the seconds since `hack/demo` started. */

export interface Progress {
  step(text: string): void;
  /** A line that belongs to the previous step. */
  detail(text: string): void;
  blank(): void;
  elapsedMs(): number;
}

const SECONDS_WIDTH = 4;

export function openProgress(startedMs: number, write = (line: string): void => console.log(line)): Progress {
  const elapsedMs = (): number => Date.now() - startedMs;
  const stamp = (): string => `[${String(Math.round(elapsedMs() / 1000)).padStart(SECONDS_WIDTH)} s]`;
  return {
    step: (text) => write(`${stamp()} ${text}`),
    detail: (text) => write(`${' '.repeat(stamp().length)} ${text}`.trimEnd()),
    blank: () => write(''),
    elapsedMs,
  };
}
