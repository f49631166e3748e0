import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { customResourceDefinition, resource } from '#crds/crd.ts';
import type { Schema } from '#crds/schema/json-schema.ts';

const run = promisify(execFile);
/** `kubectl apply` keeps the whole object in an annotation of at most so many bytes. */
const MAX_CRD_BYTES = 262_144;

interface Node {
  readonly path: string;
  readonly schema: Schema;
}

function* nodes(schema: Schema, path: string): Generator<Node> {
  yield { path, schema };
  for (const [key, member] of Object.entries(schema.properties ?? {})) yield* nodes(member, `${path}.${key}`);
  if (schema.items !== undefined) yield* nodes(schema.items, `${path}[]`);
  if (schema.additionalProperties !== undefined) yield* nodes(schema.additionalProperties, `${path}.*`);
}

const all = ['spec', 'status'].flatMap((part) => [...nodes(resource.properties[part as 'spec' | 'status'], part)]);

describe('the CRD', () => {
  test('and everything else that is generated is not stale', async () => {
    await run(process.execPath, ['hack/gen.ts', '--check']);
  });

  test('on disk is what the schema says', () => {
    const text = readFileSync('crds/generated/orcacache.dev_orcacaches.yaml', 'utf8');
    expect(parse(text)).toEqual(JSON.parse(JSON.stringify(customResourceDefinition())));
    expect(Buffer.byteLength(text)).toBeLessThan(MAX_CRD_BYTES);
  });

  test('bounds every string, list and map', () => {
    const isUnbounded = ({ schema }: Node): boolean =>
      (schema.type === 'string' && schema.enum === undefined && schema.maxLength === undefined) ||
      (schema['x-kubernetes-int-or-string'] === true && schema.maxLength === undefined) ||
      (schema.type === 'array' && schema.maxItems === undefined) ||
      (schema.additionalProperties !== undefined && schema.maxProperties === undefined);
    expect(all.filter(isUnbounded).map(({ path }) => path)).toEqual([]);
  });

  test('describes every member', () => {
    const isSilent = ({ schema, path }: Node): boolean =>
      schema.description === undefined && !/(\[\]|[.][*])$/.test(path);
    expect(all.filter(isSilent).map(({ path }) => path)).toEqual([]);
  });

  test('gives a reason for every default', () => {
    const isBare = ({ schema }: Node): boolean =>
      schema.default !== undefined &&
      schema.properties === undefined &&
      !/Default: .+[.]|Empty: /.test(schema.description ?? '');
    expect(all.filter(isBare).map(({ path }) => path)).toEqual([]);
  });

  test('says each rule in CEL, in TypeScript unless it looks at the old object, and in one line', () => {
    const rules = all.flatMap(({ path, schema }) =>
      (schema['x-kubernetes-validations'] ?? []).map((rule) => ({ path, rule })),
    );
    const isHalf = ({ rule }: (typeof rules)[number]): boolean =>
      rule.rule === undefined ||
      rule.message.includes('\n') ||
      (rule.holds === undefined) !== rule.rule.includes('oldSelf');
    expect(rules.length).toBeGreaterThan(20);
    expect(rules.filter(isHalf).map(({ path }) => path)).toEqual([]);
  });
});
