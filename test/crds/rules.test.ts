/** Each rule of the schema has a sample that it rejects and one that it accepts. The API tests send the same samples to a real API server. */
import { describe, expect, test } from 'vitest';
import { cacheResource } from '#crds/orca-cache.ts';
import { prewarmResource } from '#crds/orca-prewarm.ts';
import type { Rule, Schema } from '#crds/schema/json-schema.ts';
import { formatPath, parseOrcaCache, parseOrcaPrewarm, type ValidationResult } from '#crds/validate.ts';
import { badCases, goodCases, type Case } from './cases.ts';
import { badPrewarms, goodPrewarms } from './prewarm-cases.ts';
import { acceptedPrewarm, prewarmWith } from './prewarm-sample.ts';
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

interface Resource {
  readonly kind: string;
  readonly schema: Schema;
  readonly bad: readonly unknown[];
  readonly good: readonly unknown[];
  readonly parse: (input: unknown) => ValidationResult<unknown>;
}

const inputs = (cases: readonly Case[], make: (changes: Case['changes']) => unknown): unknown[] =>
  cases.map(({ changes }) => make(changes));

const RESOURCES: readonly Resource[] = [
  {
    kind: 'OrcaCache',
    schema: cacheResource,
    bad: inputs(badCases, sampleWith),
    good: inputs(goodCases, (changes) => accepted(sampleWith(changes))),
    parse: parseOrcaCache,
  },
  {
    kind: 'OrcaPrewarm',
    schema: prewarmResource,
    bad: inputs(badPrewarms, prewarmWith),
    good: inputs(goodPrewarms, (changes) => acceptedPrewarm(prewarmWith(changes))),
    parse: parseOrcaPrewarm,
  },
];

describe.for(RESOURCES)('the schema of $kind', ({ schema, bad, good, parse }) => {
  /** Only the API server can evaluate rules that compare with the old object. */
  const localRules = [...rules(schema, '')].filter(({ rule }) => rule.holds !== undefined);
  const rejected = new Set(
    bad.flatMap((input) => {
      const result = parse(input);
      return result.ok
        ? []
        : result.problems.map(({ path, message }) => `${withoutIndexes(formatPath(path))} ${message}`);
    }),
  );
  const accepts = new Set(good.flatMap((value) => [...paths(value, schema, '')]));
  const named = localRules.map(({ path, rule }) => ({
    path,
    about: `${path}${rule.fieldPath ?? ''}: ${rule.message}`,
    problem: `${path}${rule.fieldPath ?? ''} ${rule.message}`,
  }));

  // The path of a problem contains the key of a map's member instead of `*`; a message may end with values.
  test.for(named)('a sample is rejected by the rule $about', ({ problem }) => {
    const pattern = new RegExp(
      `^${problem.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll(String.raw`\*`, '[^ .]+')}(: .*)?$`,
    );
    expect([...rejected].some((line) => pattern.test(line))).toBe(true);
  });

  test.for(named)('a sample is accepted by the rule $about', ({ path }) => {
    expect(accepts).toContain(path);
  });
});
