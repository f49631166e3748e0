/** What the person who watches is told: one line a step, with the seconds since the command was typed. */

export interface Progress {
  step(text: string): void;
  /** Belongs to the step before it. */
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
