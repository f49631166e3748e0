/** Writes the state and the logs of the cluster to a file after a failure, before the cleanup. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf } from './failure.ts';
import { openKubectl } from './kubectl.ts';
import { CACHE_SELECTOR, NAMESPACE, OPERATOR_NAMESPACE, PORT } from './names.ts';
import { run } from './run.ts';

const COMMAND_TIMEOUT_MS = 20_000;
const LOG_LINES = 300;

/** None of these prints the content of a Secret. */
const COMMANDS: readonly (readonly string[])[] = [
  ['get', 'nodes', '-o', 'wide'],
  ['get', 'pods', '--all-namespaces', '-o', 'wide'],
  ['get', 'events', '--all-namespaces', '--sort-by=.lastTimestamp'],
  ['-n', NAMESPACE, 'get', 'orcacaches,deployments,services,endpointslices,configmaps', '-o', 'wide'],
  ['-n', NAMESPACE, 'get', 'orcacaches', '-o', 'yaml'],
  ['-n', NAMESPACE, 'describe', 'pods'],
  ['-n', OPERATOR_NAMESPACE, 'describe', 'pods'],
  [
    '-n',
    OPERATOR_NAMESPACE,
    'logs',
    '--all-containers',
    '--prefix',
    `--tail=${LOG_LINES}`,
    '-l',
    'app.kubernetes.io/name=orcacache',
  ],
  ['-n', NAMESPACE, 'logs', '--all-containers', '--prefix', `--tail=${LOG_LINES}`, '-l', CACHE_SELECTOR],
  ['-n', NAMESPACE, 'logs', '--all-containers', '--prefix', '--previous', `--tail=${LOG_LINES}`, '-l', CACHE_SELECTOR],
  ...['origin', 'store', 'origin-proxy', 'tcp-proxy'].map((app) => [
    '-n',
    NAMESPACE,
    'logs',
    '--prefix',
    '--tail=50',
    '-l',
    `app=${app}`,
  ]),
];

export async function writeDiagnosis(kubeconfig: string, file: string, error: unknown): Promise<void> {
  const parts = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  for (const args of COMMANDS) parts.push(await outputOf(kubeconfig, args));
  const cachePods = await openKubectl(kubeconfig, undefined)
    .pods(NAMESPACE, CACHE_SELECTOR)
    // The output of the commands above contains the error.
    .catch(() => []);
  for (const { name } of cachePods)
    parts.push(
      await outputOf(kubeconfig, [
        'get',
        '--raw',
        `/api/v1/namespaces/${NAMESPACE}/pods/${name}:${PORT.ops}/proxy/metrics`,
      ]),
    );
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${parts.join('\n\n')}\n`);
}

async function outputOf(kubeconfig: string, args: readonly string[]): Promise<string> {
  const text = await run('kubectl', [`--kubeconfig=${kubeconfig}`, ...args], { timeoutMs: COMMAND_TIMEOUT_MS }).catch(
    (reason: unknown) => `(${messageOf(reason)})`,
  );
  return `$ kubectl ${args.join(' ')}\n${text}`;
}
