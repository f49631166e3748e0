import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { chartValues } from '../../hack/gen/chart-readme.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { accepted } from '#test/crds/sample.ts';

const CHART = 'charts/orcacache';
const read = (path: string): string => readFileSync(join(CHART, path), 'utf8');
const chart = parse(read('Chart.yaml')) as Record<string, unknown> & { readonly annotations: Record<string, string> };
const values = parse(read('values.yaml')) as Record<string, unknown>;
// What ajv checks by default has the same words as the draft that helm reads.
const { $schema: _draft, ...schema } = JSON.parse(read('values.schema.json')) as Record<string, unknown>;
const templates = readdirSync(join(CHART, 'templates'))
  .map((name) => read(`templates/${name}`))
  .join('\n');
const validate = new Ajv({ allErrors: true, strict: true }).compile(schema);

/** Keys whose value is handed to Kubernetes as a whole. */
const OPAQUE = new Set(['podSecurityContext', 'securityContext', 'resources']);

function* leaves(value: unknown, path: readonly string[] = []): Generator<readonly string[]> {
  const isBranch =
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
  if (!isBranch || OPAQUE.has(path.at(-1) ?? '')) yield path;
  else for (const [key, member] of Object.entries(value)) yield* leaves(member, [...path, key]);
}

const keys = [...leaves(values)];

describe('the chart', () => {
  test('has the version of the program', () => {
    expect(chart['appVersion']).toBe(packageJson.version);
    expect(chart['version']).toBe(packageJson.version);
    expect(chart.annotations['artifacthub.io/images']).toContain(`orcacache/operator:${packageJson.version}\n`);
    expect(chart.annotations['artifacthub.io/images']).toContain(`orcacache/cache:${packageJson.version}\n`);
  });

  test('shows examples that the CRD accepts', () => {
    const examples = parse(chart.annotations['artifacthub.io/crdsExamples'] ?? '') as readonly unknown[];
    expect(examples).toHaveLength(1);
    for (const example of examples) accepted(example);
  });

  test('tells the next command with a cache that the CRD accepts', () => {
    const written = /<<'YAML'\n([\s\S]*?)\n {2}YAML/.exec(read('templates/NOTES.txt'))?.[1] ?? '';
    accepted(parse(written.replaceAll(/\{\{.*\}\}/g, 'default')));
  });

  test.for(['', ...readdirSync(join(CHART, 'ci'))])('accepts its own values with those of ci/%s', (name) => {
    const more = name === '' ? {} : (parse(read(`ci/${name}`)) as Record<string, unknown>);
    validate({ ...values, ...more });
    expect(validate.errors).toBeNull();
  });

  test.for(keys.map((path) => path.join('.')))('uses the value %s', (path) => {
    const [group = '', member] = path.split('.');
    // Images are handed to one helper as a whole.
    const isImage = (group === 'image' || group === 'cacheImage') && templates.includes(`"image" .Values.${group} `);
    expect(templates).toContain(isImage && member !== 'pullPolicy' ? `.image.${member}` : `.Values.${path}`);
  });

  test('describes every value beside it', () => {
    const described = chartValues().map(({ path }) => path);
    expect(described).toEqual(keys.map((path) => path.join('.')));
  });

  test.for([
    ['a misspelt key', { logLevl: 'info' }],
    ['a misspelt member', { image: { repo: 'x' } }],
    ['a log level that does not exist', { logLevel: 'trace' }],
    ['a tag with a space', { image: { tag: 'a b' } }],
    ['a digest that is none', { cacheImage: { digest: 'latest' } }],
    ['a pull policy that does not exist', { image: { pullPolicy: 'Sometimes' } }],
    ['a namespace twice', { watchNamespaces: ['a', 'a'] }],
    ['namespaces as text', { watchNamespaces: 'a,b' }],
    ['a pull secret without a name', { imagePullSecrets: [{}] }],
    ['text where a switch belongs', { crds: { keep: 'yes' } }],
    ['replicas that nobody can mean', { replicas: 100 }],
  ] as const)('refuses %s', ([, bad]) => {
    expect(validate({ ...values, ...bad })).toBe(false);
  });
});
