/**
 * Runs the reconciler of prewarms against the fake API server. One pod of the cache answers `GET /prewarms` on loopback
 * with what a test sets.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { OrcaPrewarm } from '#operator/api/orca-prewarm.ts';
import { openPodPrewarms, openPrewarmProbe } from '#operator/prewarm/pod-prewarms.ts';
import { openPrewarmReconciler } from '#operator/prewarm/reconcile.ts';
import { openApi } from '#operator/reconcile/api.ts';
import type { Outcome } from '#operator/reconcile/outcome.ts';
import type { PrewarmReport } from '#shared/prewarm-report.ts';
import { openLog } from '#shared/log.ts';
import { cacheFrom, MINIMAL } from '#test/operator/caches.ts';
import { openFakeApiServer, type FakeApiServer, type SeenRequest } from '#test/support/fake-api-server.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';

export const NAMESPACE = 'ml';
export const KEY = `${NAMESPACE}/llama`;
const GROUP_PATH = `/apis/orcacache.dev/v1alpha1/namespaces/${NAMESPACE}`;
const RBAC_PATH = `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}`;
export const PATH = {
  prewarm: `${GROUP_PATH}/orcaprewarms/llama`,
  cache: `${GROUP_PATH}/orcacaches/models`,
  events: `/apis/events.k8s.io/v1/namespaces/${NAMESPACE}/events`,
  role: `${RBAC_PATH}/roles/llama-keys`,
  roleBinding: `${RBAC_PATH}/rolebindings/llama-keys`,
  configMap: (name: string) => `/api/v1/namespaces/${NAMESPACE}/configmaps/${name}`,
  pod: (name: string) => `/api/v1/namespaces/${NAMESPACE}/pods/${name}`,
} as const;

type Spec = Partial<OrcaPrewarm['spec']>;
export type ReportFields = Partial<Omit<PrewarmReport, 'uid' | 'name'>>;

export interface PrewarmHarness {
  readonly api: FakeApiServer;
  readonly clock: FakeClock;
  readonly lines: string[];
  /** Runs one reconcile; resolves with its outcome and its writes without events. */
  readonly reconcile: () => Promise<{ readonly outcome: Outcome; readonly writes: readonly SeenRequest[] }>;
  /** Replaces the reconciler, as after a restart of the operator. */
  readonly restart: () => void;
  /** Creates the prewarm, or changes fields of its spec. */
  readonly apply: (spec?: Spec) => void;
  readonly putCache: () => void;
  /** What the pod reports from now on; undefined: nothing. */
  readonly report: (fields: ReportFields | undefined) => void;
  readonly prewarm: () => OrcaPrewarm;
  readonly status: () => NonNullable<OrcaPrewarm['status']>;
  /** `True Completed`. */
  readonly condition: (type: string) => string;
  readonly message: (type: string) => string;
  /** `Normal Started`, in order. */
  readonly events: () => string[];
  /** The requests that the pod has received. */
  readonly polls: () => number;
}

export async function openPrewarmHarness(): Promise<PrewarmHarness> {
  const clock = fakeClock();
  const api = await openFakeApiServer({ now: () => clock.date() });
  let reported: ReportFields | undefined;
  let polls = 0;
  const pod = createServer((request, response) => {
    polls += 1;
    const prewarms = reported === undefined ? [] : [reportOf(reported)];
    response.writeHead(request.url === '/prewarms' ? 200 : 404).end(JSON.stringify({ prewarms }));
  });
  await new Promise<void>((resolve) => {
    pod.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(async () => {
    await api.close();
    await new Promise((resolve) => {
      pod.close(resolve);
    });
  });
  const { port } = pod.address() as AddressInfo;
  const lines: string[] = [];
  const log = openLog({ name: 'test', level: 'debug', write: (line) => lines.push(line) });
  const open = () =>
    openPrewarmReconciler({
      clock,
      instance: 'test',
      podPrewarms: openPodPrewarms({ clock, probe: openPrewarmProbe(port) }),
      onConditions: () => {},
    });
  let reconcileOnce = open();
  const prewarm = (): OrcaPrewarm => api.get(PATH.prewarm) as OrcaPrewarm;
  const status = () => prewarm().status ?? {};
  const find = (type: string) => status().conditions?.find((condition) => condition.type === type);

  function reportOf(fields: ReportFields): PrewarmReport {
    return {
      uid: prewarm().metadata.uid,
      name: 'llama',
      run: status().runs ?? 0,
      state: 'running',
      listed: false,
      objects: { total: 0, done: 0, failed: 0 },
      bytes: { total: 0, done: 0, fromOrigin: 0, alreadyStored: 0 },
      bytesPerSecond: 0,
      failures: [],
      pin: 'none',
      message: '',
      ...fields,
    };
  }

  const harness: PrewarmHarness = {
    api,
    clock,
    lines,
    async reconcile() {
      const before = api.writes().length;
      const outcome = await reconcileOnce(
        // The client uses the real clock, since its requests are real.
        openApi({ client: api.client(), log, signal: new AbortController().signal }),
        KEY,
      );
      const writes = api.writes().slice(before);
      return { outcome, writes: writes.filter(({ path }) => path !== PATH.events) };
    },
    restart() {
      reconcileOnce = open();
    },
    apply(spec = {}) {
      const live = api.get(PATH.prewarm) as OrcaPrewarm | undefined;
      const defaults = {
        cacheRef: { name: 'models' },
        targets: [{ bucket: 'models', prefix: 'llama/' }],
        parallelism: 32,
        timeZone: 'UTC',
        suspend: false,
      };
      api.put(PATH.prewarm, {
        metadata: live?.metadata ?? {},
        spec: { ...defaults, ...live?.spec, ...spec },
        status: live?.status ?? { observedGeneration: -1 },
      });
    },
    putCache() {
      api.put(PATH.cache, { spec: cacheFrom(MINIMAL).spec });
      api.put(PATH.pod('models-0'), {
        metadata: {
          labels: {
            'app.kubernetes.io/name': 'orcacache',
            'app.kubernetes.io/instance': 'models',
            'app.kubernetes.io/component': 'cache',
          },
        },
        status: { podIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] },
      });
    },
    report(fields) {
      reported = fields;
    },
    prewarm,
    status,
    condition: (type) => `${find(type)?.status} ${find(type)?.reason}`,
    message: (type) => find(type)?.message ?? '',
    events: () =>
      api.writes().flatMap(({ path, body }) => {
        const { type, reason } = body as { readonly type?: string; readonly reason?: string };
        return path === PATH.events ? [`${type} ${reason}`] : [];
      }),
    polls: () => polls,
  };
  return harness;
}
