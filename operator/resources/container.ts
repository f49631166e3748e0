/** The only container of a cache pod. */
import { MOUNT, peerPortName, POD_PORT } from '#crds/names.ts';
import { workerCount } from '#crds/schema/workers.ts';
import type { Container, EnvVar, SecurityContext } from '#operator/api/kubernetes.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { BuildContext } from './context.ts';
import { livenessProbe, readinessProbe, startupProbe } from './probes.ts';
import type { Mounted } from './volumes.ts';

export const CONTAINER = 'cache';

/**
 * V8's old space holds code and tables only: chunk bytes are allocated outside the heap, under the pod's own memory
 * budget. The limit holds for each worker; the schema requires as much memory.
 */
const OLD_SPACE_MIB = 256;

const SECURITY: SecurityContext = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

export function container(cache: OrcaCache, context: BuildContext, { volumeMounts }: Mounted): Container {
  const { pod } = cache.spec;
  return {
    name: CONTAINER,
    image: podImage(cache, context),
    imagePullPolicy: pod.imagePullPolicy ?? context.imagePullPolicy,
    args: ['--config', MOUNT.config],
    env: environment(cache),
    ports: ports(cache),
    resources: resources(cache),
    securityContext: (pod.containerSecurityContext as SecurityContext | undefined) ?? SECURITY,
    startupProbe,
    livenessProbe,
    readinessProbe,
    // A pod that rejects its config exits at once; its last log lines then appear in the status.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts,
  };
}

/** From the peer ports in the EndpointSlices, the other replicas know how many workers the pod has. */
function ports(cache: OrcaCache): NonNullable<Container['ports']> {
  const tcp = (name: string, containerPort: number) => ({ name, containerPort, protocol: 'TCP' });
  const peers = Array.from({ length: workerCount(cache.spec) }, (_, index) =>
    tcp(peerPortName(index), POD_PORT.peer + index),
  );
  return [tcp('edge', POD_PORT.edge), ...peers, tcp('ops', POD_PORT.ops)];
}

export function podImage(cache: OrcaCache, context: BuildContext): string {
  return cache.spec.pod.image ?? context.image;
}

/** The CRD schema defaults a missing `resources`. Here numbers only become strings, as Kubernetes writes quantities. */
function resources(cache: OrcaCache): NonNullable<Container['resources']> {
  const { requests, limits } = cache.spec.pod.resources;
  const asText = (quantities: Readonly<Record<string, string | number>>): Record<string, string> =>
    Object.fromEntries(Object.entries(quantities).map(([name, value]) => [name, String(value)]));
  return {
    ...(requests === undefined ? {} : { requests: asText(requests) }),
    ...(limits === undefined ? {} : { limits: asText(limits) }),
  };
}

function proxyVariables(proxy: OrcaCache['spec']['proxy']): EnvVar[] {
  if (proxy === undefined) return [];
  return [
    { name: 'HTTP_PROXY', value: proxy.httpsProxy },
    { name: 'HTTPS_PROXY', value: proxy.httpsProxy },
    { name: 'NO_PROXY', value: proxy.noProxy },
  ];
}

function environment(cache: OrcaCache): EnvVar[] {
  const ours: EnvVar[] = [
    { name: 'POD_IP', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } },
    { name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
    { name: 'NODE_OPTIONS', value: `--max-old-space-size=${OLD_SPACE_MIB}` },
    ...proxyVariables(cache.spec.proxy),
  ];
  const theirs = cache.spec.pod.env ?? [];
  const taken = new Set(theirs.map(({ name }) => name));
  // The user's value wins: the API server rejects two entries with the same name.
  return [...ours.filter(({ name }) => !taken.has(name)), ...theirs.map((variable) => ({ ...variable }))];
}
