/** Each rule of the schema has a sample that it refuses and one that it lets pass; the cluster tests ask the real API server about the same samples. */
import { describe, expect, test } from 'vitest';
import { resource } from '#crds/crd.ts';
import type { Rule, Schema } from '#crds/schema/json-schema.ts';
import { formatPath, parseOrcaCache } from '#crds/validate.ts';
import { badCases, goodCases } from './cases.ts';
import { accepted, sampleWith } from './sample.ts';

interface Placed {
  /** With `[]` and `*` for the items of lists and maps. */
  readonly path: string;
  readonly rule: Rule;
}

function* rules(schema: Schema, path: string): Generator<Placed> {
  for (const rule of schema['x-kubernetes-validations'] ?? []) yield { path, rule };
  for (const [key, member] of Object.entries(schema.properties ?? {}))
    yield* rules(member, path === '' ? key : `${path}.${key}`);
  if (schema.items !== undefined) yield* rules(schema.items, `${path}[]`);
  if (schema.additionalProperties !== undefined) yield* rules(schema.additionalProperties, `${path}.*`);
}

/** Paths of all values of a cache, with `[]` and `*`. */
function* paths(value: unknown, schema: Schema | undefined, path: string): Generator<string> {
  yield path;
  if (Array.isArray(value)) for (const item of value) yield* paths(item, schema?.items, `${path}[]`);
  else if (typeof value === 'object' && value !== null)
    for (const [key, member] of Object.entries(value)) {
      const known = schema?.properties?.[key];
      const name = known === undefined && schema?.additionalProperties !== undefined ? '*' : key;
      yield* paths(member, known ?? schema?.additionalProperties, path === '' ? name : `${path}.${name}`);
    }
}

const general = (path: string): string => path.replaceAll(/\[[0-9]+\]/g, '[]');
/** Rules about the old object are judged by the API server alone. */
const own = [...rules(resource, '')].filter(({ rule }) => rule.holds !== undefined);
const refused = new Set(
  badCases.flatMap(({ changes }) => {
    const verdict = parseOrcaCache(sampleWith(changes));
    return verdict.ok ? [] : verdict.problems.map(({ path, message }) => `${general(formatPath(path))} ${message}`);
  }),
);
const passed = new Set(goodCases.flatMap(({ changes }) => [...paths(accepted(sampleWith(changes)), resource, '')]));

const named = own.map(({ path, rule }) => ({
  path,
  about: `${path}${rule.fieldPath ?? ''}: ${rule.message}`,
  told: `${path}${rule.fieldPath ?? ''} ${rule.message}`,
}));

describe('a sample is refused by the rule', () => {
  // Members of maps are told by their own names.
  test.for(named)('$about', ({ told }) => {
    const pattern = new RegExp(
      `^${told.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll(String.raw`\*`, '[^ .]+')}$`,
    );
    expect([...refused].some((line) => pattern.test(line))).toBe(true);
  });
});

describe('a sample passes the rule', () => {
  test.for(named)('$about', ({ path }) => {
    expect(passed).toContain(path);
  });
});
