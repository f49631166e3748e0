/** A real API server with the CRD, and the operator as a process with exactly the chart's permissions. No pods run. */
import { readFileSync } from 'node:fs';
import { expect, onTestFinished, vi } from 'vitest';
import { API_VERSION, PLURAL } from '#crds/names.ts';
import { collectionPath, type Live } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { PATCH, type KubeClient } from '#shared/kube/client.ts';
import { sampleWith } from '#test/crds/sample.ts';
import { OPERATOR_USER, openControlPlane, type ControlPlane } from '#test/support/control-plane.ts';
import { freePort } from '#hack/lab/free-ports.ts';
import { startOperator, type OperatorProcess } from '#test/support/operator-process.ts';
import { grantChartRoles, installCrds, RELEASE_NAMESPACE, type Rendering } from './install.ts';

/** Generous, because the machine may be busy. */
export const REACTION_MS = 60_000;

export interface ApiWorld {
  readonly plane: ControlPlane;
  readonly kube: KubeClient;
  readonly operator: OperatorProcess;
  readonly createNamespace: (name: string) => Promise<void>;
  readonly createCache: (
    namespace: string,
    name: string,
    more?: Readonly<Record<string, unknown>>,
  ) => Promise<OrcaCache>;
  readonly caches: () => Promise<readonly OrcaCache[]>;
  readonly scale: (namespace: string, name: string, replicas: number) => Promise<void>;
  /** The replicas of the Deployment; undefined if it does not exist. */
  readonly replicas: (namespace: string, name: string) => Promise<number | undefined>;
  /** The value of one of the operator's metrics, summed over its labels. */
  readonly metric: (name: string) => Promise<number>;
  /** The operator's writes according to the audit log, without the Lease. */
  readonly writes: () => Promise<readonly string[]>;
  /** Resolves to `writes()` once the operator has neither reconciled nor written for two seconds. */
  readonly writesAtRest: () => Promise<readonly string[]>;
  /** Resident memory of the operator's process, current and peak. */
  readonly memory: () => { readonly nowBytes: number; readonly peakBytes: number };
}

export interface ApiWorldOptions {
  /** The permissions of which rendering of the chart the operator has. */
  readonly rendering?: Rendering;
  /** More variables of its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Cleaned up when the test finishes. */
export async function openApiWorld({ rendering, env = {} }: ApiWorldOptions = {}): Promise<ApiWorld> {
  const plane = await openControlPlane();
  onTestFinished(() => plane[Symbol.asyncDispose]());
  const { kube } = plane;
  await installCrds(kube);
  const { leaseName } = await grantChartRoles(kube, rendering);
  const metricsPort = await freePort();
  const operator = startOperator(
    {
      CACHE_IMAGE: 'orcacache/cache:test',
      LEASE_NAMESPACE: RELEASE_NAMESPACE,
      LEASE_NAME: leaseName,
      METRICS_PORT: String(metricsPort),
      ...env,
    },
    '--kubeconfig',
    plane.kubeconfig(OPERATOR_USER),
  );
  await vi.waitFor(() => expect(operator.output()).toContain('became leader'), { timeout: REACTION_MS });
  const pathOf = (namespace: string, name: string): string =>
    `${collectionPath(API_VERSION, PLURAL, namespace)}/${name}`;

  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  };
  const writes = async (): Promise<readonly string[]> =>
    (await plane.operatorWrites()).filter((write) => !write.endsWith('leases'));

  return {
    plane,
    kube,
    operator,
    metric,
    writes,
    writesAtRest() {
      let last: unknown;
      return vi.waitFor(
        async () => {
          const written = await writes();
          const now = { written, reconciles: await metric('controller_runtime_reconcile_total') };
          const before = last;
          last = now;
          expect(now, 'the operator is still busy').toEqual(before);
          return written;
        },
        { timeout: REACTION_MS, interval: 2000 },
      );
    },
    async createNamespace(name) {
      await kube.request('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
    },
    createCache: (namespace, name, more = {}) =>
      kube.request<OrcaCache>('POST', collectionPath(API_VERSION, PLURAL, namespace), {
        body: sampleWith({
          'metadata.namespace': namespace,
          'metadata.name': name,
          'spec.origin.s3.credentialsSecretRef': undefined,
          ...more,
        }),
      }),
    async caches() {
      const { items } = await kube.request<{ readonly items: readonly OrcaCache[] }>(
        'GET',
        collectionPath(API_VERSION, PLURAL),
      );
      return items;
    },
    async scale(namespace, name, replicas) {
      await kube.request('PATCH', pathOf(namespace, name), {
        contentType: PATCH.merge,
        body: { spec: { replicas } },
      });
    },
    async replicas(namespace, name) {
      const { items } = await kube.request<{ readonly items: readonly Live[] }>(
        'GET',
        collectionPath('apps/v1', 'deployments', namespace),
        { query: { fieldSelector: `metadata.name=${name}` } },
      );
      return (items[0] as { spec?: { replicas?: number } } | undefined)?.spec?.replicas;
    },
    memory() {
      const text = readFileSync(`/proc/${operator.pid}/status`, 'utf8');
      const bytes = (field: string): number => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(text)?.[1] ?? 0) * 1024;
      return { nowBytes: bytes('VmRSS'), peakBytes: bytes('VmHWM') };
    },
  };
}

export function conditionOf(cache: OrcaCache, type: string): string {
  const found = cache.status?.conditions?.find((condition) => condition.type === type);
  return found === undefined ? '' : `${found.status} ${found.reason}`;
}

/** The cache is reconciled and waits for pods, which nothing creates here. */
export function isReconciled(cache: OrcaCache): boolean {
  return (
    cache.status?.observedGeneration === cache.metadata.generation &&
    conditionOf(cache, 'Ready') === 'False Progressing' &&
    conditionOf(cache, 'Reconciling') === 'True Progressing'
  );
}
