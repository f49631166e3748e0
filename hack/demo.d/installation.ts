/** Installs the demo in a cluster and removes it. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { cacheResource } from './cache-resource.ts';
import { Failure, messageOf } from './failure.ts';
import type { Kubectl } from './kubectl.ts';
import {
  CACHE,
  CRD,
  DEMO_LABEL,
  NAMESPACE,
  OPERATOR_NAMESPACE,
  ORIGIN_SECRET,
  RELEASE,
  STORE_SECRET,
} from './names.ts';
import type { Progress } from './progress.ts';
import { run } from './run.ts';
import { namespace, secret, servers, tcpProxy, type Credentials } from './servers.ts';

export interface Installation {
  readonly kubectl: Kubectl;
  readonly kubeconfig: string;
  /** `orcacache`, or a registry: `PREFIX/cache:TAG`, `PREFIX/operator:TAG`, `PREFIX/support:TAG`. */
  readonly imagePrefix: string;
  readonly imageTag: string;
  readonly viaPortForward: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
}

const CHART = join(import.meta.dirname, '..', '..', 'charts', 'orcacache');
/** Small servers, with images that are loaded already or are pulled once. */
const SERVERS_TIMEOUT_S = 120;
const OPERATOR_TIMEOUT_S = 120;
const CACHE_TIMEOUT_S = 150;
/** Cache pods finish their responses: propagation delay, drain, and the time that the kubelet takes. */
const REMOVAL_TIMEOUT_S = 120;

/** The state of the cluster before the demo, which must be the same afterwards. */
export interface ClusterState {
  readonly hasCrd: boolean;
  readonly hasCaches: boolean;
}

/** Removes the remains of an earlier demo. Fails if a namespace of the demo exists without its label. */
export async function prepareCluster(installation: Installation): Promise<ClusterState> {
  const { kubectl, progress } = installation;
  const [label, value] = Object.entries(DEMO_LABEL)[0] ?? ['', ''];
  const left: string[] = [];
  for (const name of [NAMESPACE, OPERATOR_NAMESPACE]) {
    const found = await kubectl.field(['namespace', name], '{.metadata.name} {.metadata.labels}');
    if (found === '') continue;
    if (!found.includes(`"${label}":"${value}"`))
      throw new Failure(
        `namespace ${name} exists without the label ${label}=${value}: delete it or use another cluster`,
      );
    left.push(name);
  }
  if (left.length > 0) {
    progress.step(`removing the remains of an earlier demo: ${left.join(', ')}`);
    await removeAll(installation);
  }
  const hasCrd = (await kubectl.field(['crd', CRD], '{.metadata.name}')) !== '';
  const hasCaches = hasCrd && (await kubectl(['get', 'orcacaches', '--all-namespaces', '-o', 'name'])).trim() !== '';
  return { hasCrd, hasCaches };
}

export interface Secrets {
  readonly origin: Credentials;
  readonly store: Credentials;
}

export async function installServers(installation: Installation): Promise<Secrets> {
  const { kubectl, imagePrefix, imageTag, viaPortForward } = installation;
  const image = `${imagePrefix}/support:${imageTag}`;
  const secrets = { origin: newCredentials(), store: newCredentials() };
  await kubectl.apply([namespace(NAMESPACE), namespace(OPERATOR_NAMESPACE)]);
  await kubectl.apply([
    secret(ORIGIN_SECRET, secrets.origin),
    secret(STORE_SECRET, secrets.store),
    ...servers(image),
    ...(viaPortForward ? tcpProxy(image, CACHE) : []),
  ]);
  return secrets;
}

export async function awaitServers({ kubectl, viaPortForward }: Installation): Promise<void> {
  const names = ['origin', 'store', 'origin-proxy', ...(viaPortForward ? ['tcp-proxy'] : [])];
  const deployments = names.map((name) => `deployment/${name}`);
  await kubectl.waitFor(
    'origin, cachestore and proxy',
    'condition=Available',
    ['-n', NAMESPACE, ...deployments],
    SERVERS_TIMEOUT_S,
  );
}

export async function installOperator(installation: Installation, before: ClusterState): Promise<void> {
  const { kubeconfig, imagePrefix, imageTag, signal } = installation;
  const images = { image: 'operator', cacheImage: 'cache' } as const;
  const settings = Object.entries(images).flatMap(([value, name]) => [
    '--set-string',
    `${value}.repository=${imagePrefix}/${name},${value}.tag=${imageTag}`,
  ]);
  settings.push(
    // A CRD that the demo installs is removed with it.
    '--set',
    `crds.keep=${before.hasCrd}`,
    '--take-ownership',
    '--force-conflicts',
    // Other OrcaCaches in the cluster have their own operator.
    ...(before.hasCaches ? ['--set', `watchNamespaces={${NAMESPACE}}`] : []),
  );
  await run(
    'helm',
    ['install', RELEASE, CHART, '-n', OPERATOR_NAMESPACE, ...settings].concat([
      '--wait',
      '--timeout',
      `${OPERATOR_TIMEOUT_S}s`,
      `--kubeconfig=${kubeconfig}`,
    ]),
    { signal, timeoutMs: (OPERATOR_TIMEOUT_S + 30) * 1000, what: 'helm install of the operator' },
  );
}

export async function installCache({ kubectl }: Installation): Promise<void> {
  await kubectl.apply([cacheResource()]);
}

export async function awaitCache({ kubectl }: Installation): Promise<void> {
  try {
    await kubectl.waitFor(
      `OrcaCache ${NAMESPACE}/${CACHE} to be Ready`,
      'condition=Ready',
      ['-n', NAMESPACE, `orcacache/${CACHE}`],
      CACHE_TIMEOUT_S,
    );
  } catch (error) {
    const message = await kubectl
      .field(
        ['-n', NAMESPACE, 'orcacache', CACHE],
        '{range .status.conditions[?(@.type=="Ready")]}{.reason}: {.message}{end}',
      )
      .catch(messageOf);
    throw new Failure(`${messageOf(error)}\nReady condition of the cache: ${message}`, { cause: error });
  }
}

/** Deletes the cache while the operator is running. Works for an incomplete installation too. */
export async function removeAll({ kubectl, kubeconfig }: Installation): Promise<void> {
  const wait = ['--ignore-not-found', '--wait', `--timeout=${REMOVAL_TIMEOUT_S}s`];
  const options = { timeoutMs: (REMOVAL_TIMEOUT_S + 15) * 1000 };
  if ((await kubectl.field(['crd', CRD], '{.metadata.name}')) !== '')
    await kubectl(['-n', NAMESPACE, 'delete', `orcacache/${CACHE}`, ...wait], options);
  await run(
    'helm',
    ['uninstall', RELEASE, '-n', OPERATOR_NAMESPACE, '--ignore-not-found', '--wait', `--kubeconfig=${kubeconfig}`],
    options,
  );
  await kubectl(['delete', 'namespace', NAMESPACE, OPERATOR_NAMESPACE, ...wait], options);
}

/** Random credentials for this run. */
function newCredentials(): Credentials {
  return {
    accessKeyId: `DEMO${randomBytes(8).toString('hex').toUpperCase()}`,
    secretAccessKey: randomBytes(24).toString('base64url'),
  };
}
