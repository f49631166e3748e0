/** The number by which each line is judged, and how it is shown. Pure. */
import { isSmall, MIB, type LineId, type Variant } from '#hack/bench.d/lines.ts';
import type { Sample } from '#hack/bench.d/sample.ts';

export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly digits: number;
  of(sample: Sample): number;
}

const CPU_PER_GIB: Figure = { name: 'CPU', unit: 's/GiB', digits: 2, of: (sample) => sample.cpuSecondsPerGib };
const CPU_PER_REQUEST: Figure = { name: 'CPU', unit: 'µs/request', digits: 0, of: (sample) => sample.cpuUsPerRequest };
const REQUEST_RATE: Figure = { name: 'rate', unit: 'requests/s', digits: 0, of: (sample) => sample.requestsPerSecond };
const BYTE_RATE: Figure = { name: 'rate', unit: 'MB/s', digits: 0, of: (sample) => sample.megabytesPerSecond };
const TOTAL: Figure = { name: 'time', unit: 'ms', digits: 0, of: (sample) => sample.totalMs };

const FIGURES: Readonly<Record<LineId, (variant: Variant) => Figure>> = {
  a: () => CPU_PER_GIB,
  b: () => CPU_PER_REQUEST,
  c: () => CPU_PER_REQUEST,
  d: () => TOTAL,
  e: () => ({ name: 'slowest client', unit: 'ms', digits: 0, of: (sample) => sample.slowestMs }),
  f: () => ({ name: 'peak memory', unit: 'MiB', digits: 0, of: (sample) => sample.peakBytes / MIB }),
  g: () => TOTAL,
  h: (variant) => (isSmall(variant) ? REQUEST_RATE : BYTE_RATE),
  i: () => ({ name: 'slowest first byte', unit: 'ms', digits: 0, of: (sample) => sample.slowestFirstByteMs }),
};

export function figureOf(variant: Variant): Figure {
  return FIGURES[variant.line](variant);
}

/** What each line is about, as a heading. */
export const LINE_TITLES: Readonly<Record<LineId, string>> = {
  a: 'Large objects',
  b: 'Small ranges',
  c: 'Small objects',
  d: 'One cold read',
  e: 'Many clients, one object',
  f: 'Many cold chunks at once',
  g: 'The end of a large cold object',
  h: 'Two workers',
  i: 'A frozen replica',
};

/** With a space before the unit. */
export function formatFigure({ digits, unit }: Figure, value: number): string {
  return `${formatNumber(value, digits)} ${unit}`;
}

/** With a narrow no-break space between thousands. */
export function formatNumber(value: number, digits: number): string {
  return value.toFixed(digits).replaceAll(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, '\u202f');
}
