/** From the global flags to a cluster. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { openKubeClient } from '#shared/kube/client.ts';
import { openInCluster } from '#shared/kube/in-cluster.ts';
import type { ApiServer } from '#shared/kube/api-request.ts';
import type { Flags } from '#cache/cli/frame/command.ts';
import { CliError, UsageError } from '#cache/cli/frame/errors.ts';
import { parseDuration } from '#cache/cli/output/units.ts';
import type { Cluster } from './cluster.ts';
import { kubeCluster } from './kube-cluster.ts';
import { urlCluster } from './url-cluster.ts';

type Env = Readonly<Record<string, string | undefined>>;

export async function connect(flags: Flags, env: Env): Promise<Cluster> {
  const timeoutMs = timeoutOf(flags);
  const urls = flags.text('pod-url');
  if (urls !== undefined) return urlCluster(urls, timeoutMs);
  const server = await openServer(flags, env);
  const namespace = flags.text('namespace') ?? server.namespace ?? 'default';
  return kubeCluster({ server, client: openKubeClient(server), namespace, timeoutMs });
}

/** kubectl's meaning of the flag, but `0` is not "no limit": every wait has one. */
function timeoutOf(flags: Flags): number {
  const text = flags.text('request-timeout') ?? '';
  const ms = parseDuration(text);
  if (ms === undefined || ms <= 0)
    throw new UsageError(`--request-timeout '${text}' is not a duration such as 30s or 1m`);
  return ms;
}

/** The cache's image has no library for kubeconfigs, and a pod usually has none to read. */
async function openServer(flags: Flags, env: Env): Promise<ApiServer> {
  const file = flags.text('kubeconfig');
  const context = flags.text('context');
  const isGiven = file !== undefined || context !== undefined || (env['KUBECONFIG'] ?? '') !== '';
  if (!isGiven && (env['KUBERNETES_SERVICE_HOST'] ?? '') !== '' && !existsSync(join(homedir(), '.kube', 'config')))
    return openInCluster({ env });
  try {
    const { openKubeconfig } = await import('#shared/kube/kubeconfig.ts');
    return openKubeconfig(file, context);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND')
      throw new CliError('this image cannot read a kubeconfig: run the program outside, or use --pod-url', error);
    throw new CliError(
      `the kubeconfig cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
}
