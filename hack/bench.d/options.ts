/** The command line that `hack/bench` passes to this program. */
import { parseArgs } from 'node:util';
import { isLineId, LINE_IDS, type LineId } from './lines.ts';

export interface Options {
  readonly lines: readonly LineId[];
  /** Measure only work whose title contains this. */
  readonly only: string;
  readonly repeats: number;
  /** Duration of one measurement of warm work, in seconds. */
  readonly durationS: number;
  /** Print the functions that use most CPU time instead of measuring. */
  readonly profile: boolean;
  readonly profileFile: string;
  /** Contains the programs loadgen and synthetic. */
  readonly binFolder: string;
  readonly nginx: string | undefined;
  /** Also measure another checkout of this repository. */
  readonly against: string | undefined;
  /** Also measure bare Node servers that only move the bytes. */
  readonly bare: boolean;
  /** End with 1 if a target is missed. */
  readonly check: boolean;
  readonly store: 'synthetic' | 'versitygw';
  /** Only that every read is right and that the origin sends each byte once; every body is compared. */
  readonly quick: boolean;
  /** Receives the results as JSON. */
  readonly jsonFile: string | undefined;
  /** Receives a plot of each line. */
  readonly plotFolder: string | undefined;
  /** Receives one line for each check of a quick run, for hack/test. */
  readonly quickResults: string | undefined;
}

export function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      only: { type: 'string', default: '' },
      repeats: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '3' },
      profile: { type: 'boolean', default: false },
      'profile-file': { type: 'string', default: '' },
      bin: { type: 'string', default: '' },
      nginx: { type: 'string', default: '' },
      against: { type: 'string', default: '' },
      bare: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      store: { type: 'string', default: 'synthetic' },
      quick: { type: 'boolean', default: false },
      json: { type: 'string', default: '' },
      plot: { type: 'string', default: '' },
      results: { type: 'string', default: '' },
    },
  });
  if (values.store !== 'synthetic' && values.store !== 'versitygw')
    throw new RangeError(`--store requires synthetic or versitygw, not ${values.store}`);
  return {
    lines: positionals.length === 0 ? LINE_IDS : positionals.map(lineOf),
    only: values.only,
    repeats: positive('repeats', values.repeats),
    durationS: positive('seconds', values.seconds),
    profile: values.profile,
    profileFile: values['profile-file'],
    binFolder: values.bin,
    nginx: optional(values.nginx),
    against: optional(values.against),
    // Most targets are relative to a bare server.
    bare: (values.bare || values.check) && !values.quick,
    check: values.check,
    store: values.store,
    quick: values.quick,
    jsonFile: optional(values.json),
    plotFolder: optional(values.plot),
    quickResults: optional(values.results),
  };
}

function lineOf(text: string): LineId {
  if (!isLineId(text)) throw new RangeError(`unknown line ${text}; choose from: ${LINE_IDS.join(' ')}`);
  return text;
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 60)) throw new RangeError(`--${name} requires a number up to 60, not ${text}`);
  return value;
}

function optional(text: string): string | undefined {
  return text === '' ? undefined : text;
}
