import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { chartValues } from '#hack/gen/chart-readme.ts';
import packageJson from '#package' with { type: 'json' };
import { accepted } from '#test/crds/sample.ts';
import { leaves } from '#test/helm/values.ts';

const CHART = 'charts/orcacache-cluster';
const read = (path: string): string => readFileSync(`${CHART}/${path}`, 'utf8');

describe('the chart orcacache-cluster', () => {
  test('has the version of the program as its appVersion', () => {
    expect((parse(read('Chart.yaml')) as Record<string, unknown>)['appVersion']).toBe(packageJson.version);
  });

  test('describes every value', () => {
    const keys = [...leaves(parse(read('values.yaml')), new Set())];
    expect(chartValues('orcacache-cluster').map(({ path }) => path)).toEqual(keys.map((path) => path.join('.')));
  });

  test('has an example in its README that the CRD accepts', () => {
    const example = /# values\.yaml\n([\s\S]*?)```/.exec(read('README.md'))?.[1] ?? '';
    const { caches, defaults } = parse(example) as {
      readonly caches: { readonly models: { readonly spec: object } };
      readonly defaults: object;
    };
    accepted({
      apiVersion: 'orcacache.dev/v1alpha1',
      kind: 'OrcaCache',
      metadata: { name: 'models', namespace: 'ml' },
      spec: { ...defaults, ...caches.models.spec },
    });
  });

  test('contains the license of the project', () => {
    expect(read('LICENSE')).toBe(readFileSync('LICENSE', 'utf8'));
  });
});
