import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { CRD_NAME, PREWARM } from '#crds/names.ts';
import { sampleWith } from '#test/crds/sample.ts';
import { manifests, MONITORING } from '#test/helm/helm.ts';
import { sendInput } from '#test/support/program-input.ts';
import { everyRight } from './operator-world.ts';

const run = promisify(execFile);
const CHART = 'charts/orcacache';
const PREVIOUS = 'test/fixtures/charts/orcacache-0.1.0.tgz';
const CACHES = 'charts/orcacache-cluster';
const CACHE_SETS = readdirSync(`${CACHES}/ci`);
const CRD_FILE = 'crds/generated/orcacache.dev_orcacaches.yaml';
const NAMESPACE = `chart-test-${process.pid}`;
const RELEASE = 'orca';
const OPERATOR = 'orca-orcacache';
const VALUE_SETS = readdirSync(`${CHART}/ci`);
const INSTALL = ['--set', 'image.tag=dev', '--set', 'cacheImage.tag=dev', '--wait', '--timeout', '120s'];
const REACTION_MS = 60_000;
/** Large enough for a rendered CRD. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

async function helm(...args: readonly string[]): Promise<string> {
  return (await run('helm', [...args, '-n', NAMESPACE], { maxBuffer: MAX_OUTPUT_BYTES })).stdout;
}

async function kubectl(args: readonly string[], stdin = ''): Promise<string> {
  const running = run('kubectl', [...args], { maxBuffer: MAX_OUTPUT_BYTES });
  sendInput(running.child, stdin);
  return (await running).stdout;
}

/** Standard error of a failed command; empty if the command succeeds. */
async function complaint(command: Promise<string>): Promise<string> {
  return command.then(
    () => '',
    (error: unknown) => (error as { readonly stderr: string }).stderr,
  );
}

async function exists(...what: readonly string[]): Promise<boolean> {
  return (await kubectl(['get', ...what, '--ignore-not-found', '-o', 'name'])) !== '';
}

beforeAll(async () => {
  await kubectl(['create', 'namespace', NAMESPACE]);
});

afterAll(async () => {
  await kubectl(['delete', 'namespace', NAMESPACE, '--wait=false']);
});

describe('the chart', () => {
  const foreign = process.env['ORCACACHE_FOREIGN_CRDS'] ?? '';
  beforeAll(async () => {
    // The Prometheus operator's own CRDs, so that its objects are validated as strictly as all others.
    await kubectl(['apply', '--server-side', '-f', foreign]);
    await kubectl(['wait', '--for=condition=Established', '--timeout=60s', '-f', foreign]);
  });
  afterAll(async () => {
    await kubectl(['delete', '--ignore-not-found', '-f', foreign]);
  });

  test.for(VALUE_SETS)('renders objects that the API server accepts, strictly, with %s', async (values) => {
    const rendered = await helm('template', RELEASE, CHART, '-f', `${CHART}/ci/${values}`, ...MONITORING);
    const told = await kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], rendered);
    expect(told.trim().split('\n').length).toBe(rendered.split(/^kind: /m).length - 1);
  });

  test('has a companion chart whose PodMonitor the API server accepts, strictly', async () => {
    const only = ['--show-only', 'templates/pod-monitor.yaml', '-f', `${CACHES}/ci/two-values.yaml`];
    const rendered = await helm('template', 'caches', CACHES, ...only, ...MONITORING);
    const told = await kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], rendered);
    expect(told).toContain('podmonitor.monitoring.coreos.com/caches created');
  });

  test('has examples for GitOps that the API server accepts, strictly', async () => {
    const files = [
      'gitops/flux/sync.yaml',
      'gitops/argo-cd/applications.yaml',
      'gitops/repository/operator/release.yaml',
    ];
    const examples = files
      .flatMap((file) => manifests(readFileSync(file, 'utf8')))
      // The module with the CRD of Flux' helm-controller is not available.
      .filter(({ kind }) => kind !== 'HelmRelease')
      .map((example) => ({ ...example, metadata: { ...example.metadata, namespace: NAMESPACE } }));
    const told = await kubectl(
      ['apply', '--dry-run=server', '--validate=strict', '-f', '-'],
      examples.map((example) => stringify(example)).join('---\n'),
    );
    expect(told.trim().split('\n')).toHaveLength(examples.length);
  });
});

async function crd(jsonPath: string): Promise<string> {
  return kubectl(['get', 'crd', CRD_NAME, '-o', `jsonpath=${jsonPath}`]);
}

describe('a release', () => {
  beforeAll(async () => {
    // A CRD left by an earlier release belongs to that release; without caches it can be deleted.
    if (await exists('crd', CRD_NAME)) {
      const caches = await kubectl(['get', 'orcacaches', '-A', '-o', 'name']);
      if (caches !== '') throw new Error(`the cluster has caches already: ${caches}`);
      await kubectl(['delete', 'crd', CRD_NAME]);
    }
    await kubectl(['apply', '-f', '-'], stringify(everyRight(NAMESPACE, OPERATOR)));
    await helm('install', RELEASE, PREVIOUS, ...INSTALL);
    await kubectl(
      ['apply', '-n', NAMESPACE, '-f', '-'],
      stringify(
        sampleWith({
          'metadata.namespace': NAMESPACE,
          'spec.replicas': 0,
          'spec.origin.s3.credentialsSecretRef': undefined,
        }),
      ),
    );
  });

  afterAll(async () => {
    await complaint(helm('uninstall', RELEASE, '--wait'));
    await kubectl(['delete', 'crd', CRD_NAME, PREWARM.crdName, '--ignore-not-found']);
    await kubectl(['delete', 'clusterrolebinding', `every-right-${NAMESPACE}`, '--ignore-not-found']);
    await kubectl(['delete', 'clusterrole,clusterrolebinding', '-l', `app.kubernetes.io/instance=${RELEASE}`]);
  });

  test('is upgraded from the previous version, with its CRD, and keeps its caches', async () => {
    const uid = (): Promise<string> =>
      kubectl(['get', 'orca', 'models', '-n', NAMESPACE, '-o', 'jsonpath={.metadata.uid}']);
    const [before, crdBefore] = [await uid(), await crd('{.metadata.uid}')];
    await helm('upgrade', RELEASE, CHART, ...INSTALL);
    expect(await uid()).toBe(before);
    expect(await crd('{.metadata.uid}')).toBe(crdBefore);
    const wanted = parse(readFileSync(CRD_FILE, 'utf8')) as { readonly spec: { readonly versions: readonly object[] } };
    expect(JSON.parse(await crd('{.spec.versions}'))).toEqual(wanted.spec.versions);
    expect(await exists('crd', PREWARM.crdName)).toBe(true);
    // From here on the operator has only the permissions of its chart.
    await kubectl(['delete', 'clusterrolebinding', `every-right-${NAMESPACE}`]);
  });

  test('runs an operator that reconciles a cache', async () => {
    await vi.waitFor(
      async () => {
        const seen = await kubectl([
          'get',
          'orca',
          'models',
          '-n',
          NAMESPACE,
          '-o',
          'jsonpath={.status.observedGeneration}',
        ]);
        expect(seen).toBe('1');
        expect(await exists('service', 'models', '-n', NAMESPACE)).toBe(true);
      },
      { timeout: REACTION_MS, interval: 500 },
    );
  });

  test('passes its own helm test', async () => {
    const told = await helm('test', RELEASE, '--logs', '--timeout', '120s');
    expect(told).toContain('ok      the API server serves OrcaCaches');
    expect(told).toContain('ok      the operator responds');
  });

  test.for(CACHE_SETS)('can be combined with a release of the cluster chart with %s', async (values) => {
    const rendered = await helm('template', 'caches', CACHES, '-f', `${CACHES}/ci/${values}`);
    if (rendered.trim() === '') return;
    // In another namespace, because this test has its own cache of that name.
    const elsewhere = rendered.replaceAll(`namespace: ${NAMESPACE}`, 'namespace: default');
    const told = await kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], elsewhere);
    expect(told.trim().split('\n').length).toBe(rendered.split(/^kind: /m).length - 1);
  });

  test('that contains caches waits until they are ready, and uninstall removes them', async () => {
    const values = ['-f', `${CACHES}/ci/volume-values.yaml`, '--set', 'caches.models=null'];
    const spec = 'caches.idle.spec';
    const idle = ['--set', `${spec}.replicas=0`, '--set', `${spec}.origin.id=idle`, '--set', `${spec}.origin.type=S3`];
    const more = ['--set', `${spec}.origin.s3.endpoint=http://s3`, '--set', `${spec}.origin.buckets[0].name=idle`];
    const store = ['--set', `${spec}.cacheStore.type=S3`, '--set', `${spec}.cacheStore.s3.bucket=chunks`];
    await helm('install', 'caches', CACHES, ...values, ...idle, ...more, ...store, '--wait', '--timeout', '60s');
    const ready = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
    expect(await kubectl(['get', 'orca', 'idle', '-n', NAMESPACE, '-o', ready])).toBe('True');
    await helm('uninstall', 'caches', '--wait', '--timeout', '60s');
    expect(await exists('orca', 'idle', '-n', NAMESPACE)).toBe(false);
  });

  test('prints the next command', async () => {
    const notes = await helm('get', 'notes', RELEASE);
    expect(notes).toContain(`kubectl -n ${NAMESPACE} rollout status deployment/${OPERATOR}`);
    expect(notes).toContain('kind: OrcaCache');
  });

  test.for([
    ['list', 'orcacaches.orcacache.dev', 'yes'],
    ['update', 'orcacaches.orcacache.dev', 'no'],
    ['patch', 'orcacaches.orcacache.dev/status', 'yes'],
    ['update', 'orcacaches.orcacache.dev/finalizers', 'yes'],
    ['delete', 'orcacaches.orcacache.dev', 'no'],
    ['list', 'orcaprewarms.orcacache.dev', 'yes'],
    ['create', 'orcaprewarms.orcacache.dev', 'no'],
    ['patch', 'orcaprewarms.orcacache.dev/status', 'yes'],
    ['delete', 'orcaprewarms.orcacache.dev', 'yes'],
    ['get', 'secrets', 'yes'],
    ['create', 'secrets', 'yes'],
    ['list', 'secrets', 'no'],
    ['watch', 'secrets', 'no'],
    ['delete', 'secrets', 'no'],
    ['patch', 'deployments.apps', 'yes'],
    ['delete', 'configmaps', 'yes'],
    ['create', 'pods', 'no'],
    ['delete', 'pods', 'no'],
    // Only with schedulingGates.enabled.
    ['patch', 'pods', 'no'],
    ['create', 'pods/exec', 'no'],
    ['create', 'clusterroles.rbac.authorization.k8s.io', 'no'],
    ['escalate', 'roles.rbac.authorization.k8s.io', 'no'],
    ['bind', 'roles.rbac.authorization.k8s.io', 'no'],
    ['impersonate', 'serviceaccounts', 'no'],
    ['get', 'nodes', 'no'],
  ] as const)('lets its operator %s %s: %s', async ([verb, resource, answer]) => {
    const account = `system:serviceaccount:${NAMESPACE}:${OPERATOR}`;
    const [of = '', subresource = ''] = resource.split('/');
    // kubectl exits with code 1 on "no".
    const told = await kubectl([
      'auth',
      'can-i',
      verb,
      of,
      '-A',
      `--subresource=${subresource}`,
      `--as=${account}`,
    ]).catch((error: unknown) => (error as { readonly stdout: string }).stdout);
    expect(told.trim()).toBe(answer);
  });

  test('runs its operator under the restricted Pod Security Standard', async () => {
    const told = await run('kubectl', [
      'label',
      '--dry-run=server',
      'namespace',
      NAMESPACE,
      'pod-security.kubernetes.io/enforce=restricted',
    ]);
    expect(told.stderr).toBe('');
  });

  test('lets the edit role write caches and the view role read them', async () => {
    const may = (role: string, verb: string) =>
      kubectl(['get', 'clusterrole', role, '-o', `jsonpath={.rules[?(@.apiGroups[0]=="orcacache.dev")].verbs}`]).then(
        (verbs) => verbs.includes(verb),
      );
    await vi.waitFor(async () => expect(await may('edit', 'create')).toBe(true), {
      timeout: REACTION_MS,
      interval: 500,
    });
    expect(await may('view', 'list')).toBe(true);
    expect(await may('view', 'create')).toBe(false);
  });

  test('upgrades to other values', async () => {
    await helm('upgrade', RELEASE, CHART, ...INSTALL, '--set', 'logLevel=debug');
    const level = (): Promise<string> =>
      kubectl([
        'get',
        'pods',
        '-n',
        NAMESPACE,
        '-l',
        'app.kubernetes.io/component=operator',
        '-o',
        `jsonpath={.items[*].spec.containers[0].env[?(@.name=="LOG_LEVEL")].value}`,
      ]);
    // The old pod may still be terminating.
    await vi.waitFor(async () => expect(await level()).toBe('debug'), { timeout: REACTION_MS, interval: 500 });
  });

  test('has a standby operator, and allows the eviction of one of the two', async () => {
    await helm('upgrade', RELEASE, CHART, ...INSTALL, '--set', 'replicaCount=2');
    const ready = await kubectl([
      'get',
      'deployment',
      OPERATOR,
      '-n',
      NAMESPACE,
      '-o',
      'jsonpath={.status.readyReplicas}',
    ]);
    expect(ready).toBe('2');
    expect(await exists('poddisruptionbudget', OPERATOR, '-n', NAMESPACE)).toBe(true);
  });

  test('keeps the CRD and the caches when crds.install is disabled, and adopts the CRD again', async () => {
    const before = await crd('{.metadata.uid}');
    await helm('upgrade', RELEASE, CHART, ...INSTALL, '--set', 'crds.install=false');
    expect(await crd('{.metadata.uid}')).toBe(before);
    await helm('upgrade', RELEASE, CHART, ...INSTALL);
    expect(await crd('{.metadata.uid}')).toBe(before);
    expect(await exists('orca', 'models', '-n', NAMESPACE)).toBe(true);
  });

  test('leaves only the CRD and the caches when it is uninstalled', async () => {
    await helm('uninstall', RELEASE, '--wait');
    expect(await exists('orca', 'models', '-n', NAMESPACE)).toBe(true);
    expect(await exists('deployment', OPERATOR, '-n', NAMESPACE)).toBe(false);
    expect(await exists('serviceaccount', OPERATOR, '-n', NAMESPACE)).toBe(false);
    expect(await exists('clusterrole,clusterrolebinding', '-l', `app.kubernetes.io/instance=${RELEASE}`)).toBe(false);
  });

  test('adopts the CRD that it left, when it is installed again', async () => {
    await helm('install', RELEASE, CHART, ...INSTALL);
    expect(await exists('orca', 'models', '-n', NAMESPACE)).toBe(true);
  });

  test('deletes the CRD on uninstall with crds.keep=false', async () => {
    await helm('upgrade', RELEASE, CHART, ...INSTALL, '--set', 'crds.keep=false');
    await helm('uninstall', RELEASE, '--wait', '--timeout', '120s');
    expect(await exists('crd', CRD_NAME)).toBe(false);
    expect(await exists('crd', PREWARM.crdName)).toBe(false);
  });
});
