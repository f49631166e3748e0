/** Wires the operator: settings, API server, queue, watches, workers, probes and metrics; and takes it apart in reverse. */
import { randomBytes, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import packageJson from '#package' with { type: 'json' };
import { runElection } from '#operator/control/election.ts';
import { LeaseLock } from '#operator/control/lease-lock.ts';
import { openTerms } from '#operator/control/term.ts';
import { openMetrics } from '#operator/http/metrics.ts';
import { openMetricsServer, openProbes } from '#operator/http/server.ts';
import { openPodProbe } from '#operator/reconcile/probe-pod.ts';
import { openReconciler } from '#operator/reconcile/reconcile.ts';
import { openPodReports } from '#operator/reconcile/pod-reports.ts';
import { parseSettings, type Settings } from './settings.ts';
import { pollIntervalMs, dependencyDigest } from '#operator/status/dependency-conditions.ts';
import { systemClock } from '#shared/clock.ts';
import { openKubeClient } from '#shared/kube/client.ts';
import type { ApiServer } from '#shared/kube/api-request.ts';
import { openInCluster } from '#shared/kube/in-cluster.ts';
import { openLifecycle, shutDown } from '#shared/lifecycle.ts';
import { openLog } from '#shared/log.ts';

const PEER_KEY_BYTES = 32;
const SERVER_STOP_MS = 1000;
/** Five for work that won't end and one for the lease; all of it below the 10 s that Kubernetes gives the pod. */
const WORK_STOP_MS = 7000;

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
  const instance = settings.podName ?? hostname();
  const terms = openTerms({
    client,
    clock,
    log,
    namespaces: settings.namespaces,
    metrics,
    openWork(addKey) {
      const reports = openPodReports({
        clock,
        probePod: openPodProbe(),
        digest: dependencyDigest,
        pollIntervalMs,
        onChange: addKey,
      });
      const reconcile = openReconciler({
        clock,
        image: settings.image,
        imagePullPolicy: settings.imagePullPolicy,
        version,
        instance,
        reports,
        state: metrics.state,
        newPeerKeyBase64: () => randomBytes(PEER_KEY_BYTES).toString('base64'),
      });
      return { reconcile, run: (until) => reports.run(until) };
    },
  });

  /** Undefined until the first answer about the lease. */
  let leads: boolean | undefined;
  const metricsServer = await openMetricsServer(settings.metricsPort, metrics.registry);
  const probes = await openProbes(
    settings.probePort,
    () => undefined,
    () => {
      if (leads === undefined) return 'it is not known yet who leads';
      return terms.synced() === false ? 'the first lists are not read yet' : undefined;
    },
  );
  log.info('started', { version, image: settings.image, namespaces: settings.namespaces, api: server.url.href });

  const observe = (now: boolean): void => {
    leads = now;
    metrics.leads(now);
  };
  const work =
    settings.lease === undefined
      ? leadAlone()
      : runElection({
          // The same pod after a restart is another candidate: what its last life held it does not hold.
          lease: new LeaseLock({ client, clock, ...settings.lease, identity: `${instance}_${randomUUID()}`, signal }),
          clock,
          log,
          signal,
          lead: (term) => terms.lead(term),
          observe,
        });

  function leadAlone(): Promise<void> {
    observe(true);
    return terms.lead({ signal, assertHeld: () => {} });
  }

  const ended = work.catch((error: unknown) => {
    log.error('the work can’t go on', { error });
    process.exitCode = 1;
  });
  const stopped = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([ended, stopped]);
  await shutDown(
    [
      { name: 'work', timeoutMs: WORK_STOP_MS, run: () => ended },
      { name: 'probes', timeoutMs: SERVER_STOP_MS, run: () => probes.close() },
      { name: 'metrics', timeoutMs: SERVER_STOP_MS, run: () => metricsServer.close() },
    ],
    log,
    clock,
  );
  process.exit();
}

/** A pod uses its own account, and never loads the library that reads kubeconfigs: 80 MB of it. */
async function openApiServer({ kubeconfig }: Settings): Promise<ApiServer> {
  const { KUBECONFIG = '', KUBERNETES_SERVICE_HOST = '' } = process.env;
  if (kubeconfig === undefined && KUBECONFIG === '' && KUBERNETES_SERVICE_HOST !== '') return openInCluster();
  const { openKubeconfig } = await import('#shared/kube/kubeconfig.ts');
  return openKubeconfig(kubeconfig);
}
