/** Prewarms on the real API server, with a pod of the cache that reports what a test sets. No pods run. */
import { createServer } from 'node:http';
import { expect, onTestFinished, vi } from 'vitest';
import { API_VERSION, POD_PORT, PREWARM } from '#crds/names.ts';
import { collectionPath } from '#operator/api/manifest.ts';
import type { OrcaPrewarm } from '#operator/api/orca-prewarm.ts';
import { PATCH } from '#shared/kube/client.ts';
import type { PrewarmReport } from '#shared/prewarm-report.ts';
import { prewarmWith } from '#test/crds/prewarm-sample.ts';
import { openApiWorld, REACTION_MS, type ApiWorld, type ApiWorldOptions } from './operator-world.ts';

export const NAMESPACE = 'ml';
/** The operator reaches pods on the ops port. An address of its own, so that files can run at the same time. */
const POD_IP = '127.14.0.2';
export const FINISHED: ReportFields = {
  state: 'finished',
  listed: true,
  objects: { total: 3, done: 3, failed: 0 },
  bytes: { total: 300, done: 300, fromOrigin: 200, alreadyStored: 100 },
};
export const FAILED: ReportFields = {
  ...FINISHED,
  objects: { total: 3, done: 2, failed: 1 },
  failures: [{ key: 'a', reason: 'not_found' }],
};

export type ReportFields = Partial<Omit<PrewarmReport, 'uid' | 'name' | 'run'>>;

export interface PrewarmWorld extends ApiWorld {
  readonly create: (name: string, more?: Readonly<Record<string, unknown>>) => Promise<OrcaPrewarm>;
  readonly get: (name: string) => Promise<OrcaPrewarm>;
  readonly patchSpec: (name: string, spec: object) => Promise<void>;
  /** What the pod reports of the prewarm's newest run, until the next call. */
  readonly report: (name: string, fields: ReportFields) => Promise<void>;
  readonly finish: (name: string, fields?: ReportFields) => Promise<void>;
  /** Waits until the prewarm's status meets the expectation. */
  readonly until: (name: string, met: (status: NonNullable<OrcaPrewarm['status']>) => void) => Promise<void>;
  /** `Normal Started`, of the events of one object. */
  readonly events: (name: string) => Promise<readonly string[]>;
}

export function conditionOf(status: NonNullable<OrcaPrewarm['status']>, type: string): string {
  const found = status.conditions?.find((condition) => condition.type === type);
  return `${found?.status} ${found?.reason}`;
}

export async function openPrewarmWorld(options: ApiWorldOptions = {}): Promise<PrewarmWorld> {
  const world = await openApiWorld(options);
  const { kube } = world;
  const reports = new Map<string, PrewarmReport>();
  const pod = createServer((request, response) => {
    response
      .writeHead(request.url === '/prewarms' ? 200 : 404)
      .end(JSON.stringify({ prewarms: [...reports.values()] }));
  });
  await new Promise<void>((resolve) => {
    pod.listen(POD_PORT.ops, POD_IP, resolve);
  });
  onTestFinished(async () => {
    pod.closeAllConnections();
    await new Promise((resolve) => {
      pod.close(resolve);
    });
  });
  await world.createNamespace(NAMESPACE);
  // No controller creates it, and every pod names one.
  await kube.request('POST', collectionPath('v1', 'serviceaccounts', NAMESPACE), {
    body: { metadata: { name: 'default' } },
  });
  await world.createCache(NAMESPACE, 'models');
  await createCachePod(world);

  const pathOf = (name: string): string => `${collectionPath(API_VERSION, PREWARM.plural, NAMESPACE)}/${name}`;
  const get = (name: string): Promise<OrcaPrewarm> => kube.request('GET', pathOf(name));
  const until: PrewarmWorld['until'] = (name, met) =>
    vi.waitFor(async () => met((await get(name)).status ?? {}), { timeout: REACTION_MS, interval: 200 });
  const report: PrewarmWorld['report'] = async (name, fields) => {
    await until(name, ({ activeRun }) => expect(activeRun).toBeGreaterThan(0));
    const { metadata, status } = await get(name);
    reports.set(name, {
      uid: metadata.uid,
      name,
      run: status?.activeRun ?? 0,
      state: 'running',
      listed: false,
      objects: { total: 0, done: 0, failed: 0 },
      bytes: { total: 0, done: 0, fromOrigin: 0, alreadyStored: 0 },
      bytesPerSecond: 0,
      failures: [],
      pin: 'none',
      message: '',
      ...fields,
    });
  };
  return {
    ...world,
    get,
    until,
    report,
    create: (name, more = {}) =>
      kube.request('POST', collectionPath(API_VERSION, PREWARM.plural, NAMESPACE), {
        body: prewarmWith({ 'metadata.namespace': NAMESPACE, 'metadata.name': name, ...more }),
      }),
    async patchSpec(name, spec) {
      await kube.request('PATCH', pathOf(name), { contentType: PATCH.merge, body: { spec } });
    },
    async finish(name, fields = {}) {
      await report(name, { ...FINISHED, ...fields });
      await until(name, ({ activeRun }) => expect(activeRun).toBeUndefined());
    },
    async events(name) {
      const { items } = await kube.request<{
        readonly items: readonly { readonly type: string; readonly reason: string; regarding: { name: string } }[];
      }>('GET', collectionPath('events.k8s.io/v1', 'events', NAMESPACE));
      return items.filter(({ regarding }) => regarding.name === name).map(({ type, reason }) => `${type} ${reason}`);
    },
  };
}

async function createCachePod({ kube }: ApiWorld): Promise<void> {
  const pods = collectionPath('v1', 'pods', NAMESPACE);
  const name = 'models-0';
  await kube.request('POST', pods, {
    body: {
      metadata: {
        name,
        labels: {
          'app.kubernetes.io/name': 'orcacache',
          'app.kubernetes.io/instance': 'models',
          'app.kubernetes.io/component': 'cache',
        },
      },
      spec: { automountServiceAccountToken: false, containers: [{ name: 'cache', image: 'cache' }] },
    },
  });
  await kube.request('PATCH', `${pods}/${name}/status`, {
    contentType: PATCH.merge,
    body: {
      status: {
        phase: 'Running',
        podIPs: [{ ip: POD_IP }],
        podIP: POD_IP,
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    },
  });
}
