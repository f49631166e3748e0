/** Charts and install.yaml of a release, without Helm. */
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { chartEntries, ignoredBy } from '#hack/release.d/chart-archive.ts';
import { withoutHelm } from '#hack/release.d/install-manifest.ts';

const REGISTRY = 'registry.example.com/storage';

function files(chart: string, registry: string): Map<string, string> {
  const entries = [...chartEntries({ folder: `charts/${chart}`, version: '1.2.3', registry })];
  return new Map(entries.map(({ path, content }) => [path, Buffer.isBuffer(content) ? content.toString() : '']));
}

describe.for([
  ['orcacache', [['image'], ['cacheImage']]],
  ['orcacache-cluster', [['tests', 'image']]],
] as const)('the chart %s', ([chart, images]) => {
  test('has the version of the release', () => {
    const found = parse(files(chart, '').get(`${chart}/Chart.yaml`)!) as object;
    expect(found).toMatchObject({ name: chart, version: '1.2.3', appVersion: '1.2.3' });
  });

  test('names the registry of the images, and keeps the comments of its values', () => {
    const text = files(chart, REGISTRY).get(`${chart}/values.yaml`)!;
    for (const path of images) {
      const image = path.reduce<unknown>((value, name) => (value as Record<string, unknown>)[name], parse(text));
      expect(image).toMatchObject({ registry: REGISTRY, repository: expect.stringMatching(/^orcacache\//) });
    }
    expect(text).toContain('# -- Registry of the image.');
  });

  test('contains its license and no test values', () => {
    const names = [...files(chart, '').keys()];
    expect(names).toContain(`${chart}/LICENSE`);
    expect(names).toContain(`${chart}/values.schema.json`);
    expect(names.filter((name) => name.startsWith(`${chart}/ci/`) || name.endsWith('.helmignore'))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
  });
});

test('the list of images for catalogs names those of the release', () => {
  const text = files('orcacache', REGISTRY).get('orcacache/Chart.yaml')!;
  expect(text.match(/image: .*/g)).toEqual([
    `image: ${REGISTRY}/orcacache/operator:1.2.3`,
    `image: ${REGISTRY}/orcacache/cache:1.2.3`,
  ]);
});

test('.helmignore leaves out folders and endings, and nothing that begins alike', () => {
  const ignored = ignoredBy('# comment\nci/\n*.tgz\n');
  expect(['ci', 'ci/full.yaml', 'a.tgz', 'cite.yaml', 'values.yaml'].map(ignored)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
  expect(() => ignoredBy('!keep\n')).toThrow('is not supported here');
});

test('install.yaml does not claim to be managed by Helm', () => {
  const rendered = 'labels:\n  app.kubernetes.io/managed-by: Helm\n  helm.sh/chart: orcacache-1.2.3\n  a: b\n';
  expect(withoutHelm(rendered)).toBe('labels:\n  app.kubernetes.io/managed-by: kubectl\n  a: b\n');
});
