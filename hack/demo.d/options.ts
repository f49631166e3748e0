/** The command line that `hack/demo` gives to this program. */
import { parseArgs } from 'node:util';
import { Failure } from './failure.ts';

export interface Options {
  readonly kubeconfig: string;
  readonly imagePrefix: string;
  readonly imageTag: string;
  readonly sizeBytes: number;
  readonly keep: boolean;
  /** Services can't be reached from here by their addresses. */
  readonly byRelay: boolean;
  /** The cluster ends with the demo: nothing in it has to be taken away one by one. */
  readonly clusterGoes: boolean;
  readonly toolsFolder: string;
  readonly logFolder: string;
  /** Path of the AWS CLI; undefined where it could not be installed. */
  readonly aws: string | undefined;
  /** When the command was typed, in ms since the epoch. */
  readonly startedMs: number;
}

const GIB = 1024 ** 3;

export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      kubeconfig: { type: 'string' },
      images: { type: 'string' },
      tag: { type: 'string' },
      size: { type: 'string' },
      keep: { type: 'boolean', default: false },
      relay: { type: 'boolean', default: false },
      'cluster-goes': { type: 'boolean', default: false },
      tools: { type: 'string' },
      logs: { type: 'string' },
      aws: { type: 'string', default: '' },
      started: { type: 'string' },
    },
  });
  const need = (name: 'kubeconfig' | 'images' | 'tag' | 'size' | 'tools' | 'logs' | 'started'): string => {
    const value = values[name];
    if (value === undefined) throw new Failure(`--${name} is missing`);
    return value;
  };
  const sizeGib = Number(need('size'));
  if (!(sizeGib >= 1)) throw new Failure(`--size must be a number of GiB, at least 1, not ${need('size')}`);
  return {
    kubeconfig: need('kubeconfig'),
    imagePrefix: need('images'),
    imageTag: need('tag'),
    sizeBytes: sizeGib * GIB,
    keep: values.keep,
    byRelay: values.relay,
    clusterGoes: values['cluster-goes'],
    toolsFolder: need('tools'),
    logFolder: need('logs'),
    aws: values.aws === '' ? undefined : values.aws,
    startedMs: Number(need('started')),
  };
}
