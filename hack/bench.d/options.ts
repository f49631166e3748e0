/** The command line that `hack/bench` gives to this program. */
import { parseArgs } from 'node:util';
import { isLineId, LINE_IDS, type LineId } from './lines.ts';

export interface Options {
  readonly lines: readonly LineId[];
  /** Only work whose title contains this. */
  readonly only: string;
  readonly repeats: number;
  /** Of one measurement of a warm line. */
  readonly durationS: number;
  /** Say which functions take the time, instead of measuring. */
  readonly profile: boolean;
  readonly profileFile: string;
  /** Where loadgen and synthetic are. */
  readonly binFolder: string;
  readonly nginx: string | undefined;
  /** Another checkout of this repository, measured beside this one. */
  readonly against: string | undefined;
  /** Beside programs of Node that do nothing but move the bytes. */
  readonly bare: boolean;
  readonly store: 'synthetic' | 'versitygw';
  /** Where every sample goes, one JSON object a line. */
  readonly samplesFile: string | undefined;
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
      store: { type: 'string', default: 'synthetic' },
      samples: { type: 'string', default: '' },
    },
  });
  if (values.store !== 'synthetic' && values.store !== 'versitygw')
    throw new RangeError(`--store is synthetic or versitygw, not ${values.store}`);
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
    bare: values.bare,
    store: values.store,
    samplesFile: optional(values.samples),
  };
}

function lineOf(text: string): LineId {
  if (!isLineId(text)) throw new RangeError(`there is no line ${text} (there are: ${LINE_IDS.join(' ')})`);
  return text;
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 60)) throw new RangeError(`--${name} must be a number from 1 to 60, not ${text}`);
  return value;
}

function optional(text: string): string | undefined {
  return text === '' ? undefined : text;
}
