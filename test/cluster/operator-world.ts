/** A namespace with an operator from the chart and an S3 server for origin and cachestore, and kubectl helpers. */
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, vi } from 'vitest';
import { stringify } from 'yaml';
import { openRawClient } from '#cache/wire/http1/raw-client.ts';
import { createSigner } from '#cache/wire/s3/sigv4.ts';
import { CRD_NAME, PREWARM } from '#crds/names.ts';
import { sendInput } from '#test/support/program-input.ts';
import { keepNamespace } from './keep-namespace.ts';

const exec = promisify(execFile);
const CHART = 'charts/orcacache';
const RELEASE = 'operator-test';
/** ServiceAccount of the operator. */
const ACCOUNT = 'operator-test-orcacache';
/** Large enough for all objects of a namespace. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
/** Small pods, because three nodes share one machine. */
const RESOURCES = { requests: { cpu: '250m', memory: '128Mi' }, limits: { memory: '512Mi' } };
const USER = 10_001;
/** The servers' own copy: a value in a pod's environment is visible to every user who may read pods. */
const SERVER_KEYS = 's3-server';
/** Pods start within seconds, but much later on a busy machine. */
export const START_MS = 120_000;
export const REACTION_MS = 60_000;

export interface World extends AsyncDisposable {
  readonly namespace: string;
  kubectl(args: readonly string[], input?: string): Promise<string>;
  apply(...objects: readonly object[]): Promise<void>;
  /** One field of an object as text; empty if it does not exist. */
  field(what: string, jsonPath: string): Promise<string>;
  /** `<status> <reason>` of a condition of a cache. */
  condition(cache: string, type: string): Promise<string>;
  /** The body of an object, read through the edge Service. */
  read(cache: string, path: string): Promise<string>;
  /** The operator's pod that holds the lease; empty while no pod does. */
  leader(): Promise<string>;
  /** A metric of the leading operator, summed over its labels. */
  metric(name: string, labels?: RegExp): Promise<number>;
  /** Upgrades an operator of another chart to the chart of this checkout. */
  upgrade(): Promise<void>;
  /** All child objects with the label of a cache. */
  leftovers(cache: string): Promise<string[]>;
}

export interface CacheOptions {
  readonly secret: string;
  readonly endpoint?: string;
  readonly replicas?: number;
  /** Further fields of the cachestore. */
  readonly cacheStore?: Readonly<Record<string, unknown>>;
}

export const BUCKET = 'models';
export const KEYS = { 'access-key-id': 'orcatest', 'secret-access-key': 'orcatest-secret' };

export function cache(
  name: string,
  { secret, endpoint = 'http://s3:7070', replicas = 3, cacheStore = {} }: CacheOptions,
): object {
  const credentialsSecretRef = { name: secret };
  return {
    apiVersion: 'orcacache.dev/v1alpha1',
    kind: 'OrcaCache',
    metadata: { name },
    spec: {
      replicas,
      origin: {
        id: name,
        identity: name,
        type: 'S3',
        s3: { endpoint, forcePathStyle: true, credentialsSecretRef },
        buckets: [{ name: BUCKET }],
      },
      cacheStore: {
        type: 'S3',
        s3: { endpoint: 'http://s3:7070', bucket: 'orca-chunks', forcePathStyle: true, credentialsSecretRef },
        ...cacheStore,
      },
      chunking: { size: '1Mi', tiers: [] },
      shutdown: { propagationDelay: '1s', drainTimeout: '5s' },
      pod: { resources: RESOURCES },
    },
  };
}

export function secret(name: string): object {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: KEYS };
}

export interface WorldOptions {
  /** The operator's chart; by default this checkout's. */
  readonly chart?: string;
  /** The namespace enforces the restricted Pod Security Standard. */
  readonly restricted?: boolean;
  /** Number of operator replicas; one of them leads. */
  readonly operators?: number;
  /** Further values of the operator's chart, such as `schedulingGates.enabled=true`. */
  readonly values?: readonly string[];
}

export async function openWorld({
  chart = CHART,
  restricted = false,
  operators = 1,
  values: more = [],
}: WorldOptions = {}): Promise<World> {
  const namespace = `operator-test-${process.pid}`;

  async function run(file: string, args: readonly string[], input = ''): Promise<string> {
    const running = exec(file, ['-n', namespace, ...args], { maxBuffer: MAX_OUTPUT_BYTES });
    sendInput(running.child, input);
    return (await running).stdout;
  }
  const kubectl = (args: readonly string[], input?: string): Promise<string> => run('kubectl', args, input);

  const images = ['--set', 'image.tag=dev', '--set', 'cacheImage.tag=dev', '--set', 'crds.install=false'];
  // The operator watches one namespace, so that the Roles of this mode are tested.
  const scope = ['--set', `watchNamespaces={${namespace}}`, '--set', 'logLevel=debug'];
  // Earlier charts don't know the value.
  const replicas = operators === 1 ? [] : ['--set', `replicaCount=${operators}`];
  const values = [...images, ...scope, ...replicas, ...more.flatMap((value) => ['--set', value])];

  const world: World = {
    namespace,
    kubectl,
    async apply(...objects) {
      await kubectl(['apply', '-f', '-'], objects.map((object) => stringify(object)).join('---\n'));
    },
    field: (what, jsonPath) => kubectl(['get', ...what.split(' '), '--ignore-not-found', '-o', `jsonpath=${jsonPath}`]),
    condition: (name, type) => {
      const of = `.status.conditions[?(@.type=="${type}")]`;
      return world.field(`orca ${name}`, `{${of}.status} {${of}.reason}`);
    },
    read: (name, path) =>
      kubectl(['get', '--raw', `/api/v1/namespaces/${namespace}/services/${name}:edge/proxy/${BUCKET}/${path}`]),
    async leader() {
      const holder = await world.field(`lease ${RELEASE}-orcacache`, '{.spec.holderIdentity}');
      return holder.split('_')[0] ?? '';
    },
    async metric(name, labels = /./) {
      const pod = await world.leader();
      const text = await kubectl(['get', '--raw', `/api/v1/namespaces/${namespace}/pods/${pod}:8080/proxy/metrics`]);
      const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) && labels.test(line));
      return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    },
    async leftovers(name) {
      const kinds = 'deploy,replicaset,pod,service,endpointslice,configmap,secret,serviceaccount,role,rolebinding,pdb';
      const found = await kubectl(['get', kinds, '-l', `app.kubernetes.io/instance=${name}`, '-o', 'name']);
      return found.split('\n').filter((line) => line !== '');
    },
    async upgrade() {
      await run('helm', ['upgrade', RELEASE, CHART, ...values, '--wait', '--timeout', '120s']);
      await kubectl(['delete', 'clusterrolebinding', `every-right-${namespace}`, '--ignore-not-found']);
    },
    async [Symbol.asyncDispose]() {
      try {
        await keepNamespace(namespace);
      } finally {
        // Delete the caches first, while their operator runs.
        await kubectl(['delete', 'orcaprewarms,orcacaches', '--all', '--wait=true', '--timeout=60s']);
        await run('helm', ['uninstall', RELEASE, '--wait', '--timeout', '60s']);
        await kubectl(['delete', 'clusterrolebinding', `every-right-${namespace}`, '--ignore-not-found']);
        await exec('kubectl', ['delete', 'namespace', namespace, '--wait=false']);
        // A release that installs the CRDs would refuse to adopt these.
        for (const name of newCrds)
          if ((await crd(name, `{.metadata.annotations.meta\\.helm\\.sh/release-name}`)) === '')
            await exec('kubectl', ['delete', 'crd', name, '--ignore-not-found']);
      }
    },
  };

  const crd = (name: string, jsonPath: string): Promise<string> =>
    kubectl(['get', 'crd', name, '--ignore-not-found', '-o', `jsonpath=${jsonPath}`]);
  const newCrds: string[] = [];
  for (const name of [CRD_NAME, PREWARM.crdName]) if ((await crd(name, '{.metadata.name}')) === '') newCrds.push(name);
  await exec('kubectl', ['create', 'namespace', namespace]);
  if (restricted)
    await exec('kubectl', ['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted']);
  await kubectl(['apply', '--server-side', '--force-conflicts', '-f', 'crds/generated']);
  if (chart !== CHART) await world.apply(everyRight(namespace));
  await run('helm', ['install', RELEASE, chart, ...values, '--wait', '--timeout', '120s']);
  await world.apply(...s3Server());
  await kubectl(['wait', '--for=condition=Ready', 'pod/s3', '--timeout=120s']);
  await putObject(namespace, 'hello.txt', 'hello\n');
  return world;
}

/** The program under the previous chart is this checkout's, and may need a permission that the old chart lacks. */
export function everyRight(namespace: string, account = ACCOUNT): object {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: `every-right-${namespace}` },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
  };
}

/** One server is origin and cachestore: it makes no difference to the operator. */
export function s3Server(): object[] {
  const start = `mkdir -p /data/${BUCKET} /data/orca-chunks && exec versitygw --port :7070 --quiet --keep-alive posix /data`;
  return [
    secret(SERVER_KEYS),
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 's3', labels: { app: 's3' } },
      spec: {
        terminationGracePeriodSeconds: 1,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: USER,
          fsGroup: USER,
          seccompProfile: { type: 'RuntimeDefault' },
        },
        containers: [
          {
            name: 's3',
            image: 'orcacache/support:dev',
            imagePullPolicy: 'IfNotPresent',
            command: ['sh', '-c', start],
            env: [fromKeys('ROOT_ACCESS_KEY', 'access-key-id'), fromKeys('ROOT_SECRET_KEY', 'secret-access-key')],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
            readinessProbe: { tcpSocket: { port: 7070 }, periodSeconds: 1 },
            volumeMounts: [{ name: 'data', mountPath: '/data' }],
          },
        ],
        volumes: [{ name: 'data', emptyDir: {} }],
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's3' },
      spec: { selector: { app: 's3' }, ports: [{ port: 7070 }] },
    },
  ];
}

/** An environment variable from the servers' Secret. */
export function fromKeys(name: string, key: keyof typeof KEYS): object {
  return { name, valueFrom: { secretKeyRef: { name: SERVER_KEYS, key } } };
}

/** Puts an object to the S3 server through a temporary kubectl port-forward. */
async function putObject(namespace: string, key: string, text: string): Promise<void> {
  const forward = spawn('kubectl', ['port-forward', '-n', namespace, 'pod/s3', ':7070'], { stdio: 'pipe' });
  try {
    let told = '';
    forward.stdout.on('data', (part: Buffer) => (told += String(part)));
    forward.stderr.on('data', (part: Buffer) => (told += String(part)));
    const port = await vi.waitFor(
      () => /127\.0\.0\.1:(\d+)/.exec(told)?.[1] ?? Promise.reject(new Error(`no port forwarded: ${told}`)),
      { timeout: REACTION_MS, interval: 50 },
    );
    const client = openRawClient({ endpoint: `http://127.0.0.1:${port}` });
    const path = `/${BUCKET}/${key}`;
    const body = Buffer.from(text);
    const headers = createSigner('us-east-1').sign({
      method: 'PUT',
      path,
      headers: { host: client.authority, 'content-length': String(body.length) },
      credentials: { accessKeyId: KEYS['access-key-id'], secretAccessKey: KEYS['secret-access-key'] },
      nowMs: Date.now(),
    });
    const signal = AbortSignal.timeout(REACTION_MS);
    const { status } = await client.request({ method: 'PUT', path, headers, body: [body], signal });
    client.close();
    expect(status).toBe(200);
  } finally {
    forward.kill();
  }
}

/** Polls until `look` does not reject; fails with its last error. */
export async function eventually(look: () => Promise<void>, timeoutMs = REACTION_MS): Promise<void> {
  await vi.waitFor(look, { timeout: timeoutMs, interval: 500 });
}

export async function becomes(look: () => Promise<string>, wanted: string, timeoutMs = REACTION_MS): Promise<void> {
  await eventually(async () => expect(await look()).toBe(wanted), timeoutMs);
}
