import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { chartValues } from '#hack/gen/chart-readme.ts';
import packageJson from '#package' with { type: 'json' };
import { acceptedPrewarm } from '#test/crds/prewarm-sample.ts';
import { accepted } from '#test/crds/sample.ts';
import { leaves } from '#test/helm/values.ts';

const CHART = 'charts/orcacache';
const read = (path: string): string => readFileSync(join(CHART, path), 'utf8');
const chart = parse(read('Chart.yaml')) as Record<string, unknown> & { readonly annotations: Record<string, string> };
const values = parse(read('values.yaml')) as Record<string, unknown>;
// ajv's default draft has every keyword that this schema uses from the draft that helm reads.
const { $schema: _draft, ...schema } = JSON.parse(read('values.schema.json')) as Record<string, unknown>;
const validate = new Ajv({ allErrors: true, strict: true }).compile(schema);

/** Keys whose value is passed to Kubernetes as a whole. */
const OPAQUE = new Set(['podSecurityContext', 'securityContext', 'resources']);

const keys = [...leaves(values, OPAQUE)];

interface Typed {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Typed>>;
  readonly $defs?: Readonly<Record<string, Typed>>;
}

/** The paths of all values that the schema defines. */
function typed(node: Typed, path: readonly string[] = []): string[] {
  const target = node.$ref === undefined ? node : ((schema as Typed).$defs?.[node.$ref.replace('#/$defs/', '')] ?? {});
  if (target.properties === undefined) return [path.join('.')];
  return Object.entries(target.properties).flatMap(([key, member]) => typed(member, [...path, key]));
}

describe('the chart orcacache', () => {
  test('has the version of the program as its appVersion and image tags', () => {
    expect(chart['appVersion']).toBe(packageJson.version);
    expect(chart.annotations['artifacthub.io/images']).toContain(`orcacache/operator:${packageJson.version}\n`);
    expect(chart.annotations['artifacthub.io/images']).toContain(`orcacache/cache:${packageJson.version}\n`);
  });

  test('has examples that the CRD accepts', () => {
    const examples = parse(chart.annotations['artifacthub.io/crdsExamples'] ?? '') as readonly unknown[];
    expect(examples).toHaveLength(2);
    accepted(examples[0]);
    acceptedPrewarm(examples[1]);
  });

  test('has an example in its notes that the CRD accepts', () => {
    const written = /<<'YAML'\n([\s\S]*?)\n {2}YAML/.exec(read('templates/NOTES.txt'))?.[1] ?? '';
    accepted(parse(written.replaceAll(/\{\{.*\}\}/g, 'default')));
  });

  test.for(['', ...readdirSync(join(CHART, 'ci'))])('accepts its default values merged with ci/%s', (name) => {
    const more = name === '' ? {} : (parse(read(`ci/${name}`)) as Record<string, unknown>);
    validate({ ...values, ...more });
    expect(validate.errors).toBeNull();
  });

  test('has a schema for exactly its values', () => {
    expect(typed(schema as Typed).toSorted()).toEqual(keys.map((path) => path.join('.')).toSorted());
  });

  test('describes every value', () => {
    const described = chartValues('orcacache').map(({ path }) => path);
    expect(described).toEqual(keys.map((path) => path.join('.')));
  });

  test('contains the license of the project', () => {
    expect(read('LICENSE')).toBe(readFileSync('LICENSE', 'utf8'));
  });

  test.for([
    ['a misspelt key', { logLevl: 'info' }],
    ['a misspelt member', { image: { repo: 'x' } }],
    ['a log level that does not exist', { logLevel: 'trace' }],
    ['a tag with a space', { image: { tag: 'a b' } }],
    ['an invalid digest', { cacheImage: { digest: 'latest' } }],
    ['a pull policy that does not exist', { image: { pullPolicy: 'Sometimes' } }],
    ['a namespace twice', { watchNamespaces: ['a', 'a'] }],
    ['namespaces as a string', { watchNamespaces: 'a,b' }],
    ['a pull secret without a name', { imagePullSecrets: [{}] }],
    ['a string instead of a boolean', { crds: { keep: 'yes' } }],
    ['an absurd number of replicas', { replicaCount: 100 }],
    ['an invalid port', { metrics: { port: 70_000 } }],
    ['an invalid percentage', { podDisruptionBudget: { maxUnavailable: 'half' } }],
    ['an invalid scrape interval', { metrics: { podMonitor: { interval: 'often' } } }],
    ['a volume without a name', { extraVolumes: [{ emptyDir: {} }] }],
    ['an object without a kind', { extraObjects: [{ apiVersion: 'v1' }] }],
  ] as const)('rejects %s', ([, bad]) => {
    expect(validate({ ...values, ...bad })).toBe(false);
  });
});
