/** The progress of a prewarm: a bar that is redrawn on a terminal, a line now and then elsewhere. */
import type { Io } from '#cache/cli/frame/io.ts';
import { printable } from '#cache/cli/output/table.ts';
import { formatBytesPair, formatDuration, formatPercent } from '#cache/cli/output/units.ts';
import type { PrewarmState } from './state.ts';

export interface ProgressDisplay {
  /** How often it should be given a state. */
  readonly intervalMs: number;
  update(state: PrewarmState, nowMs: number): void;
  /** A line of its own; the same one is not repeated. */
  note(text: string): void;
  /** Leaves an empty line behind. */
  end(): void;
}

const BAR_INTERVAL_MS = 1_000;
/** The operator writes the status every five seconds. */
const LINE_INTERVAL_MS = 2_000;
/** Often enough to see in a log that it runs, and 360 lines an hour. */
const LINE_EVERY_MS = 10_000;
const MAX_BAR_WIDTH = 30;
/** A shorter bar shows less than the figures beside it. */
const MIN_BAR_WIDTH = 8;
const CLEAR_LINE = '\r\u001b[K';
const MINUTE_MS = 60_000;

export function openProgress(io: Io): ProgressDisplay {
  return io.showsProgress ? barDisplay(io) : lineDisplay(io);
}

function barDisplay(io: Io): ProgressDisplay {
  const notes = new Set<string>();
  let line = '';
  return {
    intervalMs: BAR_INTERVAL_MS,
    update(state, nowMs) {
      line = barLine(state, nowMs, io.size().columns);
      io.err(`${CLEAR_LINE}${line}`);
    },
    note(text) {
      if (notes.has(text)) return;
      notes.add(text);
      io.err(`${CLEAR_LINE}${printable(text)}\n${line}`);
    },
    end: () => io.err(CLEAR_LINE),
  };
}

function lineDisplay(io: Io): ProgressDisplay {
  const notes = new Set<string>();
  let nextMs = -Infinity;
  let last = '';
  return {
    intervalMs: LINE_INTERVAL_MS,
    update(state, nowMs) {
      const isNews = state.phase !== last;
      if (!isNews && nowMs < nextMs) return;
      [nextMs, last] = [nowMs + LINE_EVERY_MS, state.phase];
      io.err(`${printable([state.name, ...partsOf(state, nowMs)].join('  '))}\n`);
    },
    note(text) {
      if (notes.has(text)) return;
      notes.add(text);
      io.err(`${printable(text)}\n`);
    },
    end() {},
  };
}

/** Never as wide as the terminal: a line that wraps could not be redrawn. */
export function barLine(state: PrewarmState, nowMs: number, columns: number): string {
  const [name, parts] = [printable(state.name), partsOf(state, nowMs).map(printable)];
  const rest = [name, ...parts].join('  ');
  const width = Math.min(MAX_BAR_WIDTH, columns - rest.length - '  []'.length - 1);
  const text = width < MIN_BAR_WIDTH ? rest : [name, `[${barOf(shareOf(state), width)}]`, ...parts].join('  ');
  return text.slice(0, Math.max(0, columns - 1));
}

function barOf(share: number, width: number): string {
  const filled = Math.floor(share * width);
  return '#'.repeat(filled) + '-'.repeat(width - filled);
}

/** The share of bytes, or of objects where all are empty. */
function shareOf({ phase, isListed, bytes, objects }: PrewarmState): number {
  if (phase === 'Complete') return 1;
  // A share of what has been found so far would be close to the whole all the time.
  if (!isListed) return 0;
  const [part, whole] = bytes.total > 0 ? [bytes.done, bytes.total] : [objects.done + objects.failed, objects.total];
  return whole === 0 ? 0 : Math.min(1, part / whole);
}

function partsOf(state: PrewarmState, nowMs: number): readonly string[] {
  const { phase, isSeen, isListed, bytes, objects, rate, estimatedMs } = state;
  const isRunning = phase === 'Running';
  if (objects.total === 0 && !isListed) return [isRunning ? 'listing' : waitText(phase, isSeen)];
  const failed = objects.failed === 0 ? '' : `, ${objects.failed} failed`;
  return [
    ...(isListed ? [formatPercent(bytes.done, bytes.total)] : []),
    formatBytesPair(bytes.done, bytes.total),
    `${objects.done}/${objects.total} objects${failed}`,
    ...(isRunning && rate !== '' ? [rate] : []),
    ...(isRunning ? [leftText(isListed, estimatedMs, nowMs)] : [waitText(phase, isSeen)]),
  ].filter((part) => part !== '');
}

function leftText(isListed: boolean, estimatedMs: number | undefined, nowMs: number): string {
  // The total still grows, and every estimate with it.
  if (!isListed) return 'still listing';
  if (estimatedMs === undefined) return '';
  // The estimate is a few seconds old: tenths of it mean nothing.
  const leftMs = Math.max(1_000, estimatedMs - nowMs);
  return `ETA ${formatDuration(leftMs < MINUTE_MS ? Math.ceil(leftMs / 1_000) * 1_000 : leftMs)}`;
}

function waitText(phase: PrewarmState['phase'], isSeen: boolean): string {
  return phase === 'Pending' && !isSeen ? 'waiting for the operator' : phase.toLowerCase();
}
