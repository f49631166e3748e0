/** Starts the operator: settings, API client, leader election, probes and metrics. Shuts down in reverse order. */
import { randomBytes, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { runElection } from '#operator/control/election.ts';
import { openLeaderTerms, type Controller, type LeaderTerms, type Work } from '#operator/control/leader-term.ts';
import { LeaseLock } from '#operator/control/lease-lock.ts';
import { GATE_COLLECTIONS } from '#operator/gates/collections.ts';
import { openGateWork } from '#operator/gates/work.ts';
import { openMetrics, type Metrics } from '#operator/http/metrics.ts';
import { openMetricsServer, openProbes } from '#operator/http/server.ts';
import { PREWARM_COLLECTIONS } from '#operator/prewarm/collections.ts';
import { openPodPrewarms, openPrewarmProbe } from '#operator/prewarm/pod-prewarms.ts';
import { openPrewarmReconciler } from '#operator/prewarm/reconcile.ts';
import { CACHE_COLLECTIONS } from '#operator/reconcile/collections.ts';
import { openPodReports } from '#operator/reconcile/pod-reports.ts';
import { openPodProbe } from '#operator/reconcile/probe-pod.ts';
import { openReconciler } from '#operator/reconcile/reconcile.ts';
import { restartsDigest } from '#operator/reconcile/worker-restarts.ts';
import { dependencyDigest, pollIntervalMs } from '#operator/status/dependency-conditions.ts';
import packageJson from '#package' with { type: 'json' };
import { systemClock } from '#shared/clock.ts';
import type { ApiServer } from '#shared/kube/api-request.ts';
import { openKubeClient, type KubeClient } from '#shared/kube/client.ts';
import { openInCluster } from '#shared/kube/in-cluster.ts';
import { openLifecycle, shutDown } from '#shared/lifecycle.ts';
import { openLog, type Log } from '#shared/log.ts';
import { parseSettings, type Settings } from './settings.ts';

const PEER_KEY_BYTES = 32;
const SERVER_STOP_MS = 1000;
/** 5 s for hanging work, 1 s for the release of the lease; less than the pod's 10 s termination grace period. */
const WORK_STOP_MS = 7000;

/** What the parts of the operator share. */
interface Operator {
  readonly settings: Settings;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly client: KubeClient;
  readonly metrics: Metrics;
  readonly version: string;
  /** The pod name in events and in the lease. */
  readonly instance: string;
}

const parsed = parseSettings(process.env, process.argv.slice(2));
if (parsed.ok) {
  await run(parsed.settings).catch((error: unknown) => {
    // A missing kubeconfig or a port in use is reported like an invalid setting.
    fail([error instanceof Error ? error.message : String(error)]);
    process.exit();
  });
} else {
  fail(parsed.problems);
}

function fail(problems: readonly string[]): void {
  for (const problem of problems) process.stderr.write(`orca-operator: ${problem}\n`);
  process.exitCode = 1;
}

async function run(settings: Settings): Promise<void> {
  const log = openLog({ name: 'orca-operator', level: settings.logLevel, format: 'auto' });
  const signal = openLifecycle(log).stopping;
  const server = await openApiServer(settings);
  const { version } = packageJson;
  const metrics = openMetrics(version, server.url.host);
  const client = openKubeClient(server, { clock: systemClock, observe: metrics.requested });
  const instance = settings.podName ?? hostname();
  const operator: Operator = { settings, log, signal, client, metrics, version, instance };
  const terms = openLeaderTerms({
    client,
    clock: systemClock,
    log,
    namespaces: settings.namespaces,
    controllers: [
      cacheController(operator),
      prewarmController(operator),
      ...(settings.schedulingGates ? [gateController(operator)] : []),
    ],
  });

  /** Undefined until the first response about the lease. */
  let isLeader: boolean | undefined;
  const metricsServer = await openMetricsServer(settings.metricsPort, metrics.registry);
  const probes = await openProbes(
    settings.probePort,
    () => undefined,
    () => unreadyReason(isLeader, terms),
  );
  log.info('started', { version, image: settings.image, namespaces: settings.namespaces, api: server.url.href });

  const work = lead(operator, terms, (now) => {
    isLeader = now;
    metrics.setLeader(now);
  });
  const ended = work.catch((error: unknown) => {
    log.error('the operator failed', { error });
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
    systemClock,
  );
  process.exit();
}

/** In a pod the service account is used. The library that reads kubeconfigs takes 80 MB, so a pod never loads it. */
async function openApiServer({ kubeconfig }: Settings): Promise<ApiServer> {
  const { KUBECONFIG = '', KUBERNETES_SERVICE_HOST = '' } = process.env;
  if (kubeconfig === undefined && KUBECONFIG === '' && KUBERNETES_SERVICE_HOST !== '') return openInCluster();
  const { openKubeconfig } = await import('#shared/kube/kubeconfig.ts');
  return openKubeconfig(kubeconfig);
}

function cacheController(operator: Operator): Controller {
  return {
    subject: 'cache',
    collections: CACHE_COLLECTIONS,
    observer: operator.metrics.controller('orcacache'),
    openWork: (addKey) => openCacheWork(operator, addKey),
  };
}

function openCacheWork({ settings, metrics, version, instance }: Operator, addKey: (key: string) => void): Work {
  const podReports = openPodReports({
    clock: systemClock,
    probePod: openPodProbe(),
    digest: (reports) => `${dependencyDigest(reports)} ${restartsDigest(reports).join()}`,
    pollIntervalMs,
    onChange: addKey,
  });
  const reconcile = openReconciler({
    clock: systemClock,
    image: settings.image,
    imagePullPolicy: settings.imagePullPolicy,
    version,
    instance,
    podReports,
    onConditions: metrics.recordConditions,
    newPeerKeyBase64: () => randomBytes(PEER_KEY_BYTES).toString('base64'),
  });
  return { reconcile, run: (signal) => podReports.run(signal) };
}

function prewarmController({ metrics, instance }: Operator): Controller {
  return {
    subject: 'prewarm',
    collections: PREWARM_COLLECTIONS,
    observer: metrics.controller('orcaprewarm'),
    openWork: () => ({
      reconcile: openPrewarmReconciler({
        clock: systemClock,
        instance,
        podPrewarms: openPodPrewarms({ clock: systemClock, probe: openPrewarmProbe() }),
        onConditions: metrics.recordPrewarmConditions,
      }),
    }),
  };
}

function gateController({ settings, client, log, metrics, instance }: Operator): Controller {
  return {
    subject: 'prewarm',
    collections: GATE_COLLECTIONS,
    observer: metrics.controller('schedulinggate'),
    openWork: (addKey) =>
      openGateWork({ client, clock: systemClock, log, namespaces: settings.namespaces, instance, addKey }),
  };
}

function unreadyReason(isLeader: boolean | undefined, terms: LeaderTerms): string | undefined {
  if (isLeader === undefined) return 'the leader election has no result yet';
  return terms.synced() === false ? 'the initial lists are not complete' : undefined;
}

/** Takes part in the leader election; without a configured lease, leads until the signal aborts. */
async function lead(
  { settings, client, log, signal, instance }: Operator,
  terms: LeaderTerms,
  observe: (isLeader: boolean) => void,
): Promise<void> {
  if (settings.lease === undefined) {
    observe(true);
    return terms.lead({ signal, assertHeld: () => {} });
  }
  // A restarted pod is a new candidate: it must not inherit the hold of its previous process.
  const identity = `${instance}_${randomUUID()}`;
  const lease = new LeaseLock({ client, clock: systemClock, ...settings.lease, identity, signal });
  return runElection({ lease, clock: systemClock, log, signal, lead: (term) => terms.lead(term), observe });
}
