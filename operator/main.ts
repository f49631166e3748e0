/** Wires the operator: settings, API server, queue, watches, workers, probes and metrics; and takes it apart in reverse. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import packageJson from '#package' with { type: 'json' };
import { runController } from '#operator/control/controller.ts';
import { openSources } from '#operator/control/sources.ts';
import { WorkQueue } from '#operator/control/work-queue.ts';
import { openMetrics } from '#operator/http/metrics.ts';
import { openMetricsServer, openProbes } from '#operator/http/server.ts';
import { openPodAsker } from '#operator/reconcile/ask-pod.ts';
import { openReconciler } from '#operator/reconcile/reconcile.ts';
import { parseSettings, type Settings } from '#operator/settings.ts';
import { systemClock } from '#shared/clock.ts';
import { openKubeClient } from '#shared/kube/client.ts';
import type { ApiServer } from '#shared/kube/exchange.ts';
import { openInCluster } from '#shared/kube/in-cluster.ts';
import { openLifecycle, shutDown } from '#shared/lifecycle.ts';
import { openLog } from '#shared/log.ts';

const WORKERS = 4;
const PEER_KEY_BYTES = 32;
/** Below the 10 s that Kubernetes gives the pod. */
const WORKERS_STOP_MS = 6000;
const SERVER_STOP_MS = 1000;

const parsed = parseSettings(process.env, process.argv.slice(2));
if (parsed.ok) {
  await run(parsed.settings).catch((error: unknown) => {
    // No kubeconfig, a port that is taken: said as plainly as a wrong setting.
    fail([error instanceof Error ? error.message : String(error)]);
    process.exit();
  });
} else {
  fail(parsed.mistakes);
}

function fail(mistakes: readonly string[]): void {
  for (const mistake of mistakes) process.stderr.write(`orca-operator: ${mistake}\n`);
  process.exitCode = 1;
}

async function run(settings: Settings): Promise<void> {
  const clock = systemClock;
  const log = openLog({ name: 'orca-operator', level: settings.logLevel });
  const lifecycle = openLifecycle(log);
  const signal = lifecycle.stopping;
  const { version } = packageJson;

  const server = await openApiServer(settings);
  const metrics = openMetrics(version, server.url.host);
  const client = openKubeClient(server, { clock, observe: metrics.requested });
  const queue = new WorkQueue({ clock, observe: metrics.queueObserver });
  metrics.watchQueue(queue, WORKERS);
  const reconcile = openReconciler({
    clock,
    image: settings.image,
    imagePullPolicy: settings.imagePullPolicy,
    version,
    instance: settings.podName ?? hostname(),
    askPod: openPodAsker(),
    newPeerKeyBase64: () => randomBytes(PEER_KEY_BYTES).toString('base64'),
  });

  const metricsServer = await openMetricsServer(settings.metricsPort, metrics.registry);
  const sources = openSources({ client, clock, log, queue, namespaces: settings.namespaces, signal });
  const probes = await openProbes(
    settings.probePort,
    () => undefined,
    () => (sources.synced() ? undefined : 'the first lists are not read yet'),
  );
  log.info('started', { version, image: settings.image, namespaces: settings.namespaces, api: server.url.href });
  const controller = runController({
    client,
    clock,
    log,
    queue,
    reconcile,
    signal,
    workers: WORKERS,
    observe: metrics.reconciled,
  });

  await new Promise((resolve) => {
    signal.addEventListener('abort', resolve, { once: true });
  });
  await shutDown(
    [
      {
        name: 'workers',
        timeoutMs: WORKERS_STOP_MS,
        run: () => Promise.all([controller, sources.ended]).then(() => {}),
      },
      { name: 'queue', timeoutMs: SERVER_STOP_MS, run: () => queue.close() },
      { name: 'probes', timeoutMs: SERVER_STOP_MS, run: () => probes.close() },
      { name: 'metrics', timeoutMs: SERVER_STOP_MS, run: () => metricsServer.close() },
    ],
    log,
    clock,
  );
  process.exit(0);
}

/** A pod uses its own account, and never loads the library that reads kubeconfigs: 80 MB of it. */
async function openApiServer({ kubeconfig }: Settings): Promise<ApiServer> {
  const { KUBECONFIG = '', KUBERNETES_SERVICE_HOST = '' } = process.env;
  if (kubeconfig === undefined && KUBECONFIG === '' && KUBERNETES_SERVICE_HOST !== '') return openInCluster();
  const { openKubeconfig } = await import('#shared/kube/kubeconfig.ts');
  return openKubeconfig(kubeconfig);
}
