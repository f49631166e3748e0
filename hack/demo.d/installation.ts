/** What the demo puts into a cluster, and how it takes it away again. */
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
import { namespace, relay, secret, servers, type Credentials } from './servers.ts';

export interface Installation {
  readonly kubectl: Kubectl;
  readonly kubeconfig: string;
  /** `orcacache`, or a registry: `PREFIX/cache:TAG`, `PREFIX/operator:TAG`, `PREFIX/support:TAG`. */
  readonly imagePrefix: string;
  readonly imageTag: string;
  readonly byRelay: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
}

const CHART = join(import.meta.dirname, '..', '..', 'charts', 'orcacache');
/** Small servers on images that are there, or are pulled once. */
const SERVERS_TIMEOUT_S = 120;
const OPERATOR_TIMEOUT_S = 120;
const CACHE_TIMEOUT_S = 150;
/** Cache pods finish what they stream: propagation delay, drain, and what the kubelet takes. */
const REMOVAL_TIMEOUT_S = 120;

/** What was in the cluster before, and must be as it was afterwards. */
export interface Before {
  readonly hasCrd: boolean;
  readonly hasCaches: boolean;
}

/** Takes away what an earlier demo has left; refuses what is not the demo's. */
export async function prepareCluster(installation: Installation): Promise<Before> {
  const { kubectl, progress } = installation;
  const [label, value] = Object.entries(DEMO_LABEL)[0] ?? ['', ''];
  const left: string[] = [];
  for (const name of [NAMESPACE, OPERATOR_NAMESPACE]) {
    const found = await kubectl.field(['namespace', name], '{.metadata.name} {.metadata.labels}');
    if (found === '') continue;
    if (!found.includes(`"${label}":"${value}"`))
      throw new Failure(`namespace ${name} exists and is not the demo's: the demo needs a cluster without it`);
    left.push(name);
  }
  if (left.length > 0) {
    progress.step(`removing what an earlier demo has left: ${left.join(', ')}`);
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
  const { kubectl, imagePrefix, imageTag, byRelay } = installation;
  const image = `${imagePrefix}/support:${imageTag}`;
  const secrets = { origin: newCredentials(), store: newCredentials() };
  await kubectl.apply([namespace(NAMESPACE), namespace(OPERATOR_NAMESPACE)]);
  await kubectl.apply([
    secret(ORIGIN_SECRET, secrets.origin),
    secret(STORE_SECRET, secrets.store),
    ...servers(image),
    ...(byRelay ? relay(image, CACHE) : []),
  ]);
  return secrets;
}

export async function awaitServers({ kubectl, byRelay }: Installation): Promise<void> {
  const names = ['origin', 'store', 'origin-proxy', ...(byRelay ? ['relay'] : [])];
  const deployments = names.map((name) => `deployment/${name}`);
  await kubectl.waitFor(
    'origin, cachestore and proxy',
    'condition=Available',
    ['-n', NAMESPACE, ...deployments],
    SERVERS_TIMEOUT_S,
  );
}

export async function installOperator(installation: Installation, before: Before): Promise<void> {
  const { kubeconfig, imagePrefix, imageTag, signal } = installation;
  const images = { image: 'operator', cacheImage: 'cache' } as const;
  const settings = Object.entries(images).flatMap(([value, name]) => [
    '--set-string',
    `${value}.repository=${imagePrefix}/${name},${value}.tag=${imageTag}`,
  ]);
  settings.push(
    // A CRD that the demo brings goes with it.
    '--set',
    `crds.keep=${before.hasCrd}`,
    '--take-ownership',
    '--force-conflicts',
    // Somebody else's caches have an operator of their own.
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
    throw new Failure(`${messageOf(error)}\nthe cache says: ${message}`, { cause: error });
  }
}

/** Children first, while there is an operator; works on whatever part of it is there. */
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

/** Made for this run, and known to nobody outside it. */
function newCredentials(): Credentials {
  return {
    accessKeyId: `DEMO${randomBytes(8).toString('hex').toUpperCase()}`,
    secretAccessKey: randomBytes(24).toString('base64url'),
  };
}
