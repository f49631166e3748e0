/** The command line that `hack/demo` passes to this program. */
import { parseArgs } from 'node:util';
import { Failure } from './failure.ts';

export interface Options {
  readonly kubeconfig: string;
  readonly imagePrefix: string;
  readonly imageTag: string;
  readonly sizeBytes: number;
  readonly keep: boolean;
  /** Access Services through `kubectl port-forward`, because this machine has no route to their addresses. */
  readonly viaPortForward: boolean;
  /** `hack/demo` stops the cluster afterwards, so there is no need to remove single resources. */
  readonly clusterIsTemporary: boolean;
  readonly toolsFolder: string;
  readonly logFolder: string;
  /** Path of the AWS CLI; undefined if it could not be installed. */
  readonly aws: string | undefined;
  /** When `hack/demo` started, in ms since the epoch. */
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
      'port-forward': { type: 'boolean', default: false },
      'cluster-is-temporary': { type: 'boolean', default: false },
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
  if (!(sizeGib >= 1)) throw new Failure(`--size requires a number of GiB of at least 1, not ${need('size')}`);
  return {
    kubeconfig: need('kubeconfig'),
    imagePrefix: need('images'),
    imageTag: need('tag'),
    sizeBytes: sizeGib * GIB,
    keep: values.keep,
    viaPortForward: values['port-forward'],
    clusterIsTemporary: values['cluster-is-temporary'],
    toolsFolder: need('tools'),
    logFolder: need('logs'),
    aws: values.aws === '' ? undefined : values.aws,
    startedMs: Number(need('started')),
  };
}
