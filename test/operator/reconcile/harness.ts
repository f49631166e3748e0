/**
 * Runs the reconciler against the fake API server, which applies defaults as a real one does. Tests simulate the
 * Deployment controller and the kubelet with `rollOut`.
 */
import { onTestFinished } from 'vitest';
import { ANNOTATION } from '#crds/names.ts';
import type { Live } from '#operator/api/manifest.ts';
import type { LiveDeployment } from '#operator/api/observed.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { openApi } from '#operator/reconcile/api.ts';
import type { Outcome } from '#operator/reconcile/outcome.ts';
import { openPodReports } from '#operator/reconcile/pod-reports.ts';
import { openPodProbe } from '#operator/reconcile/probe-pod.ts';
import { openReconciler } from '#operator/reconcile/reconcile.ts';
import { pollIntervalMs, dependencyDigest } from '#operator/status/dependency-conditions.ts';
import type { KubeObject } from '#shared/kube/types.ts';
import { openLog } from '#shared/log.ts';
import { cacheFrom } from '#test/operator/caches.ts';
import { openFakeApiServer, type FakeApiServer, type SeenRequest } from '#test/support/fake-api-server.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';

export const NAMESPACE = 'ml';
export const KEY = `${NAMESPACE}/models`;
export const PATH = {
  cache: `/apis/orcacache.dev/v1alpha1/namespaces/${NAMESPACE}/orcacaches/models`,
  deployment: `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/models`,
  core: (plural: string, name = '') => `/api/v1/namespaces/${NAMESPACE}/${plural}${name === '' ? '' : `/${name}`}`,
  networkPolicy: `/apis/networking.k8s.io/v1/namespaces/${NAMESPACE}/networkpolicies/models`,
  budget: `/apis/policy/v1/namespaces/${NAMESPACE}/poddisruptionbudgets/models`,
  events: `/apis/events.k8s.io/v1/namespaces/${NAMESPACE}/events`,
  replicaSets: `/apis/apps/v1/namespaces/${NAMESPACE}/replicasets`,
} as const;

export interface Harness {
  readonly api: FakeApiServer;
  readonly clock: FakeClock;
  /** All logged lines. */
  readonly lines: string[];
  /** Runs one reconcile; resolves with its outcome and its writes. */
  reconcile(): Promise<{ readonly outcome: Outcome; readonly writes: readonly SeenRequest[] }>;
  /** Replaces the reconciler, as after a restart or an upgrade of the operator. */
  restart(version?: string): void;
  cache(): OrcaCache;
  /** `<status> <reason>` */
  condition(type: string): string;
  message(type: string): string;
  applyCache(yaml: string, annotations?: Readonly<Record<string, string>>): void;
  secret(name: string, data?: Readonly<Record<string, string>>): void;
  deployment(): LiveDeployment;
  configMaps(): string[];
  /** Simulates Deployment controller and kubelet: pods of the current template, `ready` of them ready. */
  rollOut(ready: number, options?: { readonly failed?: boolean; readonly exitMessage?: string }): void;
}

/** `opsPort`: the ops port of the pods; nothing listens on port 1. `webhook` changes each object before it is stored. */
export async function openHarness(
  opsPort = 1,
  webhook: (object: KubeObject) => KubeObject = (object) => object,
): Promise<Harness> {
  const clock = fakeClock();
  const api = await openFakeApiServer({ admit: (object) => webhook(admit(object)), now: () => clock.now() });
  onTestFinished(() => api.close());
  const lines: string[] = [];
  const log = openLog({ name: 'test', level: 'debug', write: (line) => lines.push(line) });
  const open = (version = '0.1.0') =>
    openReconciler({
      clock,
      image: `orcacache/cache:${version}`,
      imagePullPolicy: 'IfNotPresent',
      version,
      instance: 'test',
      podReports: openPodReports({
        clock,
        probePod: openPodProbe(opsPort),
        digest: dependencyDigest,
        pollIntervalMs,
        onChange: () => {},
      }),
      onConditions: () => {},
      newPeerKeyBase64: () => Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64'),
    });
  let reconcileOnce = open();
  let revision = 0;
  const cache = (): OrcaCache => api.get(PATH.cache) as OrcaCache;
  const deployment = (): LiveDeployment => api.get(PATH.deployment) as LiveDeployment;
  const find = (type: string) => cache().status?.conditions?.find((condition) => condition.type === type);

  return {
    api,
    clock,
    lines,
    async reconcile() {
      const before = api.writes().length;
      // The client uses the real clock, since its requests are real and the fake clock does not advance.
      const client = api.client();
      const outcome = await reconcileOnce(openApi({ client, log, signal: new AbortController().signal }), KEY);
      return { outcome, writes: api.writes().slice(before) };
    },
    restart(version) {
      reconcileOnce = open(version);
    },
    cache,
    condition: (type) => `${find(type)?.status} ${find(type)?.reason}`,
    message: (type) => find(type)?.message ?? '',
    applyCache(yaml, annotations = {}) {
      const { spec } = cacheFrom(yaml);
      api.put(PATH.cache, { metadata: { annotations }, spec });
    },
    secret(name, data = { 'access-key-id': 'AKIA', 'secret-access-key': 'hush-hush' }) {
      const encoded = Object.fromEntries(
        Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
      );
      api.put(PATH.core('secrets', name), { data: encoded });
    },
    deployment,
    configMaps: () => api.list(PATH.core('configmaps')).map(({ metadata }) => metadata.name ?? ''),
    rollOut(ready, { failed = false, exitMessage } = {}) {
      const live = deployment();
      const wanted = live.spec.replicas ?? 0;
      const hash = live.spec.template.metadata?.annotations?.[ANNOTATION.configHash] ?? '';
      const name = `models-${hash}`;
      const { labels = {} } = (live.spec.template.metadata ?? {}) as { labels?: Record<string, string> };
      const owner = (of: Live, kind: string) => [
        { apiVersion: 'apps/v1', kind, name: of.metadata.name, uid: of.metadata.uid, controller: true },
      ];
      const known = api.get(`${PATH.replicaSets}/${name}`) as Live | undefined;
      if (known?.metadata.annotations?.['deployment.kubernetes.io/revision'] !== String(revision)) revision += 1;
      const replicaSet = api.put(`${PATH.replicaSets}/${name}`, {
        metadata: {
          labels,
          annotations: { 'deployment.kubernetes.io/revision': String(revision) },
          ownerReferences: owner(live, 'Deployment'),
        },
        spec: { replicas: wanted, template: live.spec.template },
      }) as Live;
      // Simplified: all old pods stay until all new pods are ready.
      const done = ready >= wanted;
      for (const pod of api.list(PATH.core('pods')))
        if (done && pod.metadata.annotations?.[ANNOTATION.configHash] !== hash)
          api.delete(PATH.core('pods', pod.metadata.name ?? ''));
      for (let index = 0; index < wanted; index++)
        api.put(PATH.core('pods', `${name}-${index}`), {
          metadata: {
            labels,
            annotations: { [ANNOTATION.configHash]: hash },
            ownerReferences: owner(replicaSet, 'ReplicaSet'),
          },
          status: {
            phase: 'Running',
            podIP: '127.0.0.1',
            conditions: [{ type: 'Ready', status: index < ready ? 'True' : 'False' }],
            containerStatuses: [
              {
                name: 'cache',
                ready: index < ready,
                ...(index < ready || exitMessage === undefined
                  ? {}
                  : {
                      state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s' } },
                      lastState: { terminated: { reason: 'Error', exitCode: 1, message: exitMessage } },
                    }),
              },
            ],
          },
        });
      const pods = api.list(PATH.core('pods')).length;
      api.put(PATH.deployment, {
        status: {
          observedGeneration: live.metadata.generation,
          replicas: pods,
          updatedReplicas: wanted,
          readyReplicas: done ? wanted : pods - wanted + ready,
          conditions: [
            {
              type: 'Progressing',
              status: failed ? 'False' : 'True',
              reason: failed ? 'ProgressDeadlineExceeded' : done ? 'NewReplicaSetAvailable' : 'ReplicaSetUpdated',
            },
          ],
        },
      });
    },
  };
}

/** A few of the API server's defaults. None of them may count as a difference. */
function admit(object: KubeObject): KubeObject {
  const spec = (object as { spec?: Record<string, unknown> }).spec ?? {};
  switch (object.kind ?? '') {
    case 'Service':
      return {
        ...object,
        spec: { clusterIP: '10.96.0.9', sessionAffinity: 'None', type: 'ClusterIP', ...spec },
      } as KubeObject;
    case 'Deployment': {
      const template = spec['template'] as { spec: { containers: object[] } };
      const containers = template.spec.containers.map((container) => ({
        terminationMessagePath: '/dev/termination-log',
        ...container,
      }));
      const podSpec = { restartPolicy: 'Always', schedulerName: 'default-scheduler', ...template.spec, containers };
      return {
        ...object,
        spec: { minReadySeconds: 0, ...spec, template: { ...template, spec: podSpec } },
      } as KubeObject;
    }
    default:
      return object;
  }
}
