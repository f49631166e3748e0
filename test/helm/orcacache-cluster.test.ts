import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { acceptedPrewarm } from '#test/crds/prewarm-sample.ts';
import { accepted } from '#test/crds/sample.ts';
import { stderrOf, helm, manifests, MONITORING, template, valuesFile } from './helm.ts';
import { isUsed } from './is-used.ts';
import { leaves, type Tree } from './values.ts';

const CHART = 'charts/orcacache-cluster';
const VALUE_SETS = readdirSync(`${CHART}/ci`);

const setOf = (name: string): Tree => (parse(readFileSync(`${CHART}/ci/${name}`, 'utf8')) ?? {}) as Tree;
const keys = [...leaves(parse(readFileSync(`${CHART}/values.yaml`, 'utf8')), new Set())];
const minimal = setOf('minimal-values.yaml') as { readonly caches: { readonly models: { readonly spec: Tree } } };
const PREWARM = { cacheRef: { name: 'models' }, targets: [{ bucket: 'models' }] };
const withSpec = (spec: Tree): Tree => ({ caches: { models: { spec: { ...minimal.caches.models.spec, ...spec } } } });

describe('the chart orcacache-cluster', () => {
  test.for(VALUE_SETS)('passes helm lint --strict with %s', async (values) => {
    await helm('lint', '--strict', CHART, '-f', `${CHART}/ci/${values}`);
  });

  test.for(VALUE_SETS)('renders the golden file with %s', async (values) => {
    const golden = values.replace('-values.yaml', '.yaml');
    await expect(await template(CHART, '-f', `${CHART}/ci/${values}`, ...MONITORING)).toMatchFileSnapshot(
      `../golden/charts/orcacache-cluster/${golden}`,
    );
  });

  test.for(VALUE_SETS)('renders caches that the CRD accepts with %s', async (values) => {
    const caches = manifests(await template(CHART, '-f', `${CHART}/ci/${values}`)).filter(
      ({ kind }) => kind === 'OrcaCache',
    );
    const wanted = Object.values((setOf(values)['caches'] ?? {}) as Tree).filter((cache) => cache !== null);
    expect(caches).toHaveLength(wanted.length);
    for (const cache of caches) accepted(cache);
  });

  test.for(VALUE_SETS)('renders prewarms that the CRD accepts with %s', async (values) => {
    const prewarms = manifests(await template(CHART, '-f', `${CHART}/ci/${values}`)).filter(
      ({ kind }) => kind === 'OrcaPrewarm',
    );
    const wanted = Object.values((setOf(values)['prewarms'] ?? {}) as Tree).filter((prewarm) => prewarm !== null);
    expect(prewarms).toHaveLength(wanted.length);
    for (const prewarm of prewarms) acceptedPrewarm(prewarm);
  });

  test.for(keys.map((path) => path.join('.')))(
    'uses the value %s: some file of ci/ sets it and the output depends on it',
    async (key) => {
      expect(await isUsed(CHART, VALUE_SETS.map(setOf), key.split('.'))).toBe(true);
    },
  );

  test('lets a cache override the defaults', async () => {
    const caches = manifests(await template(CHART, '-f', `${CHART}/ci/two-values.yaml`));
    const stores = caches
      .filter(({ kind }) => kind === 'OrcaCache')
      .map(({ spec }) => spec as { readonly replicas: number; readonly cacheStore: { readonly s3: Tree } });
    expect(stores.map(({ replicas, cacheStore }) => [replicas, cacheStore.s3['bucket']])).toEqual([
      [2, 'orca-data'],
      [3, 'orca-chunks'],
    ]);
    expect(stores.map(({ cacheStore }) => cacheStore.s3['endpoint'])).toEqual(
      Array.from({ length: 2 }, () => 'http://store.storage.svc:7070'),
    );
  });

  test('renders no test pod if it is disabled or there are no caches', async () => {
    for (const set of ['volume', 'none'])
      expect(await template(CHART, '-f', `${CHART}/ci/${set}-values.yaml`)).not.toContain('helm.sh/hook');
  });

  test('renders the PodMonitor only if the Prometheus operator is installed, and reports that otherwise', async () => {
    const kinds = async (...more: readonly string[]): Promise<string[]> =>
      manifests(await template(CHART, '-f', `${CHART}/ci/two-values.yaml`, ...more)).map(({ kind }) => kind);
    expect(await kinds(...MONITORING)).toContain('PodMonitor');
    expect(await kinds()).not.toContain('PodMonitor');
    const notes = await helm('install', 'x', CHART, '--dry-run=client', '-f', `${CHART}/ci/two-values.yaml`);
    expect(notes).toContain('The PodMonitor was skipped');
  });

  test.for<readonly [string, Tree, string]>([
    ['a misspelt value', { cashes: {} }, 'cashes'],
    ['a misspelt key of a spec', withSpec({ chunkSize: '8Mi' }), '/caches/models/spec'],
    ['a misspelt key deep in a spec', withSpec({ edge: { service: { typ: 'ClusterIP' } } }), '/spec/edge/service'],
    ['a misspelt key in the defaults', { defaults: { cachestore: {} } }, '/defaults'],
    ['an unknown kind of origin', withSpec({ origin: { type: 'GCS' } }), '/spec/origin/type'],
    ['a bucket without a name', withSpec({ origin: { buckets: [{ prefix: 'x' }] } }), '/origin/buckets/0'],
    ['a string instead of a number', withSpec({ replicas: '3' }), '/spec/replicas'],
    ['a name that is not valid for a Service', { caches: { 'Models.EU': minimal.caches.models } }, 'Models.EU'],
    ['a misspelt key of a prewarm', { prewarms: { a: { ...PREWARM, rate: '1Gi' } } }, '/prewarms/a'],
    ['a prewarm without a cache', { prewarms: { a: { targets: PREWARM.targets } } }, 'cacheRef'],
    ['a target without a bucket', { prewarms: { a: { ...PREWARM, targets: [{}] } } }, '/targets/0'],
    ['a name of a prewarm that is too long', { prewarms: { ['a'.repeat(64)]: PREWARM } }, 'maxLength'],
    ['a name that is too long', { caches: { ['a'.repeat(51)]: minimal.caches.models } }, 'maxLength'],
  ])('rejects %s', async ([, values, named]) => {
    expect(await stderrOf(template(CHART, '-f', await valuesFile(values)))).toContain(named);
  });

  test('accepts sizes as numbers and as strings', async () => {
    const path = await valuesFile(withSpec({ chunking: { size: 16_777_216 }, memory: { budget: '2Gi' } }));
    const [cache] = manifests(await template(CHART, '-f', path));
    expect(cache?.['spec']).toMatchObject({ chunking: { size: 16_777_216 }, memory: { budget: '2Gi' } });
  });
});
