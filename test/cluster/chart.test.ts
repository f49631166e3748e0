import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { CRD_NAME } from '#crds/names.ts';
import { sampleWith } from '#test/crds/sample.ts';
import { MONITORING } from '#test/helm/helm.ts';

const run = promisify(execFile);
const CHART = 'charts/orcacache';
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
  running.child.stdin?.end(stdin);
  return (await running).stdout;
}

/** What a failed command wrote. */
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
    // The Prometheus operator's own, so that what is for it is judged as strictly as the rest.
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
});

describe('a release', () => {
  beforeAll(async () => {
    // One that an earlier release has left belongs to that; without caches nobody misses it.
    if (await exists('crd', CRD_NAME)) {
      const caches = await kubectl(['get', 'orcacaches', '-A', '-o', 'name']);
      if (caches !== '') throw new Error(`the cluster has caches already: ${caches}`);
      await kubectl(['delete', 'crd', CRD_NAME]);
    }
    await helm('install', RELEASE, CHART, ...INSTALL);
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
    await kubectl(['delete', 'crd', CRD_NAME, '--ignore-not-found']);
    await kubectl(['delete', 'clusterrole,clusterrolebinding', '-l', `app.kubernetes.io/instance=${RELEASE}`]);
  });

  test('runs an operator that takes up a cache', async () => {
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

  test('passes the test that it brings', async () => {
    const told = await helm('test', RELEASE, '--logs', '--timeout', '120s');
    expect(told).toContain('ok      the API server serves OrcaCaches');
    expect(told).toContain('ok      the operator runs');
  });

  test('tells the next command', async () => {
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
    ['get', 'secrets', 'yes'],
    ['create', 'secrets', 'yes'],
    ['list', 'secrets', 'no'],
    ['watch', 'secrets', 'no'],
    ['delete', 'secrets', 'no'],
    ['patch', 'deployments.apps', 'yes'],
    ['delete', 'configmaps', 'yes'],
    ['create', 'pods', 'no'],
    ['delete', 'pods', 'no'],
    ['create', 'pods/exec', 'no'],
    ['create', 'clusterroles.rbac.authorization.k8s.io', 'no'],
    ['escalate', 'roles.rbac.authorization.k8s.io', 'no'],
    ['bind', 'roles.rbac.authorization.k8s.io', 'no'],
    ['impersonate', 'serviceaccounts', 'no'],
    ['get', 'nodes', 'no'],
  ] as const)('lets its operator %s %s: %s', async ([verb, resource, answer]) => {
    const account = `system:serviceaccount:${NAMESPACE}:${OPERATOR}`;
    const [of = '', subresource = ''] = resource.split('/');
    // A refusal is an exit code too.
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

  test('runs its operator as the restricted Pod Security Standard demands', async () => {
    const told = await run('kubectl', [
      'label',
      '--dry-run=server',
      'namespace',
      NAMESPACE,
      'pod-security.kubernetes.io/enforce=restricted',
    ]);
    expect(told.stderr).toBe('');
  });

  test('lets those who may edit a namespace edit its caches, and those who may view, view', async () => {
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
    const level = await kubectl([
      'get',
      'pods',
      '-n',
      NAMESPACE,
      '-l',
      'app.kubernetes.io/component=operator',
      '-o',
      `jsonpath={.items[*].spec.containers[0].env[?(@.name=="LOG_LEVEL")].value}`,
    ]);
    expect(level).toBe('debug');
  });

  test('leaves nothing but the CRD and the caches when it is uninstalled', async () => {
    await helm('uninstall', RELEASE, '--wait');
    expect(await exists('orca', 'models', '-n', NAMESPACE)).toBe(true);
    expect(await exists('deployment', OPERATOR, '-n', NAMESPACE)).toBe(false);
    expect(await exists('serviceaccount', OPERATOR, '-n', NAMESPACE)).toBe(false);
    expect(await exists('clusterrole,clusterrolebinding', '-l', `app.kubernetes.io/instance=${RELEASE}`)).toBe(false);
  });

  test('comes back to the CRD that it has left', async () => {
    await helm('install', RELEASE, CHART, ...INSTALL);
    expect(await exists('orca', 'models', '-n', NAMESPACE)).toBe(true);
  });

  test('takes the CRD with it where that is not to be kept', async () => {
    await helm('upgrade', RELEASE, CHART, ...INSTALL, '--set', 'crds.keep=false');
    await helm('uninstall', RELEASE, '--wait', '--timeout', '120s');
    expect(await exists('crd', CRD_NAME)).toBe(false);
  });
});
