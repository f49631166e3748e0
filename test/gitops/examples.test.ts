import { readdirSync, readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { acceptedPrewarm } from '#test/crds/prewarm-sample.ts';
import { accepted } from '#test/crds/sample.ts';
import { manifests, type Manifest } from '#test/helm/helm.ts';

const ROOT = 'gitops';
const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).filter(
  (name) => name.endsWith('.yaml') && !name.includes('resource_customizations'),
);
const objects = files.flatMap((name) => manifests(readFileSync(`${ROOT}/${name}`, 'utf8')));
const ofKind = (kind: string): readonly Manifest[] => objects.filter((object) => object.kind === kind);

interface Source {
  readonly chart?: string;
  readonly targetRevision: string;
  readonly path?: string;
  readonly helm?: { readonly valuesObject: object };
}
type Spec = { readonly [member: string]: unknown };
const specOf = (object: Manifest): Spec => object['spec'] as Spec;

const { $schema: _draft, ...schema } = JSON.parse(
  readFileSync('charts/orcacache/values.schema.json', 'utf8'),
) as Record<string, unknown>;
const isValues = new Ajv({ strict: false }).compile(schema);
const chartVersion = (parse(readFileSync('charts/orcacache/Chart.yaml', 'utf8')) as { readonly version: string })
  .version;
/** The examples pin the minor version, so that only patch releases are installed automatically. */
const MINOR = chartVersion.split('.').slice(0, 2).join('.');

const sources = ofKind('Application').map((application) => specOf(application)['source'] as Source);

describe('the GitOps examples', () => {
  test('include every kind of object', () => {
    const kinds = [
      'OrcaCache',
      'OrcaPrewarm',
      'HelmRelease',
      'OCIRepository',
      'GitRepository',
      'Kustomization',
      'Application',
    ];
    expect(objects.map(({ kind }) => kind)).toEqual(expect.arrayContaining(kinds));
  });

  test.for(ofKind('OrcaCache').map((cache) => [cache.metadata.name, cache] as const))(
    'contain a cache that the CRD accepts: %s',
    ([, cache]) => {
      accepted(cache);
    },
  );

  test.for(ofKind('OrcaPrewarm').map((prewarm) => [prewarm.metadata.name, prewarm] as const))(
    'contain a prewarm that the CRD accepts, of one of the caches: %s',
    ([, prewarm]) => {
      const { cacheRef } = acceptedPrewarm(prewarm).spec;
      expect(ofKind('OrcaCache').map(({ metadata }) => metadata.name)).toContain(cacheRef.name);
    },
  );

  test.for(ofKind('HelmRelease').map((release) => [release.metadata.name, release] as const))(
    'contain values that the chart accepts, for Flux: %s',
    ([, release]) => {
      isValues(specOf(release)['values']);
      expect(isValues.errors).toBeNull();
      const { name } = specOf(release)['chartRef'] as { readonly name: string };
      const [source] = ofKind('OCIRepository').filter(({ metadata }) => metadata.name === name);
      expect(source === undefined ? undefined : specOf(source)['ref']).toEqual({
        semver: `>=${MINOR}.0 <0.${Number(MINOR.split('.')[1]) + 1}.0`,
      });
    },
  );

  test('contain values that the chart accepts, for Argo CD', () => {
    const [chart] = sources.filter((source) => source.chart !== undefined);
    isValues(chart?.helm?.valuesObject);
    expect(isValues.errors).toBeNull();
    expect(chart?.targetRevision).toBe(`${MINOR}.*`);
  });

  test('refer to folders that exist in the example repository', () => {
    const paths = [
      ...ofKind('Kustomization').map((kustomization) => (specOf(kustomization) as { readonly path: string }).path),
      ...sources.flatMap(({ path }) => path ?? []),
    ].map((path) => path.replace('./', ''));
    expect(paths).toHaveLength(3);
    const folders = readdirSync(`${ROOT}/repository`, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const path of paths) expect(folders.map(({ name }) => name)).toContain(path);
  });

  test('apply the operator before the caches', () => {
    const caches = ofKind('Kustomization').find(({ metadata }) => metadata.name.endsWith('caches'));
    expect(caches === undefined ? undefined : specOf(caches)['dependsOn']).toEqual([{ name: 'orcacache-operator' }]);
    const waves = ofKind('Application').map(
      ({ metadata }) => (metadata as { readonly annotations?: Spec }).annotations?.['argocd.argoproj.io/sync-wave'],
    );
    expect(waves).toEqual(['0', '1']);
  });
});
