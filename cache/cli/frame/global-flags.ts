/** The flags of every command, named as kubectl's. */
import type { Flag } from './command.ts';

export const GLOBAL_FLAGS: readonly Flag[] = [
  { name: 'namespace', short: 'n', description: 'The namespace of the cache. Default: that of the current context.' },
  { name: 'kubeconfig', description: 'Path to the kubeconfig file. Default: KUBECONFIG, then ~/.kube/config.' },
  { name: 'context', description: 'The context of the kubeconfig to use.' },
  {
    name: 'request-timeout',
    default: '30s',
    description: 'The time limit of one request to the API server or a pod, such as 5s or 1m.',
  },
  {
    name: 'pod-url',
    description:
      'Ask these pods directly, without an API server: URLs of their ops ports, separated by commas. ' +
      'In a pod of the cache: --pod-url http://127.0.0.1:8442.',
  },
  { name: 'help', short: 'h', isSwitch: true, description: 'Show the help of the command.' },
];

export const OUTPUT_FLAG: Flag = {
  name: 'output',
  short: 'o',
  values: ['json', 'yaml', 'wide'],
  description: 'Output format: json, yaml or wide. Default: a table.',
};

export const CACHE_FLAG: Flag = {
  name: 'cache',
  description: 'The cache to ask, if more than one in the namespace serves the bucket.',
};
