/** Each rule of the schema has a sample that it rejects and one that it accepts. The API tests send the same samples to a real API server. */
import { describe, expect, test } from 'vitest';
import { cacheResource } from '#crds/orca-cache.ts';
import type { Rule, Schema } from '#crds/schema/json-schema.ts';
import { formatPath, parseOrcaCache } from '#crds/validate.ts';
import { badCases, goodCases } from './cases.ts';
import { accepted, sampleWith } from './sample.ts';

interface RuleAtPath {
  /** With `[]` and `*` for the items of lists and maps. */
  readonly path: string;
  readonly rule: Rule;
}

function* rules(schema: Schema, path: string): Generator<RuleAtPath> {
  for (const rule of schema['x-kubernetes-validations'] ?? []) yield { path, rule };
  for (const [key, member] of Object.entries(schema.properties ?? {}))
    yield* rules(member, path === '' ? key : `${path}.${key}`);
  if (schema.items !== undefined) yield* rules(schema.items, `${path}[]`);
  if (schema.additionalProperties !== undefined) yield* rules(schema.additionalProperties, `${path}.*`);
}

/** Paths of all values in a cache, with `[]` and `*`. */
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

const withoutIndexes = (path: string): string => path.replaceAll(/\[[0-9]+\]/g, '[]');
/** Only the API server can evaluate rules that compare with the old object. */
const localRules = [...rules(cacheResource, '')].filter(({ rule }) => rule.holds !== undefined);
const rejected = new Set(
  badCases.flatMap(({ changes }) => {
    const result = parseOrcaCache(sampleWith(changes));
    return result.ok
      ? []
      : result.problems.map(({ path, message }) => `${withoutIndexes(formatPath(path))} ${message}`);
  }),
);
const accepts = new Set(
  goodCases.flatMap(({ changes }) => [...paths(accepted(sampleWith(changes)), cacheResource, '')]),
);

const named = localRules.map(({ path, rule }) => ({
  path,
  about: `${path}${rule.fieldPath ?? ''}: ${rule.message}`,
  problem: `${path}${rule.fieldPath ?? ''} ${rule.message}`,
}));

describe('a sample is rejected by the rule', () => {
  // The path of a problem contains the key of a map's member instead of `*`; a message may end with values.
  test.for(named)('$about', ({ problem }) => {
    const pattern = new RegExp(
      `^${problem.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll(String.raw`\*`, '[^ .]+')}(: .*)?$`,
    );
    expect([...rejected].some((line) => pattern.test(line))).toBe(true);
  });
});

describe('a sample is accepted by the rule', () => {
  test.for(named)('$about', ({ path }) => {
    expect(accepts).toContain(path);
  });
});
