import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { customResourceDefinition, DEFINITIONS } from '#crds/crd.ts';
import type { Schema } from '#crds/schema/json-schema.ts';

const run = promisify(execFile);
/** `kubectl apply` stores the whole object in an annotation, whose size is limited to this. */
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

test('no generated file is stale', async () => {
  await run(process.execPath, ['hack/gen.ts', '--check']);
});

describe.for(DEFINITIONS)('the CRD $names.crdName', (definition) => {
  const all = ['spec', 'status'].flatMap((part) => [...nodes(definition.resource.properties?.[part] ?? {}, part)]);

  test('on disk matches the schema', () => {
    const text = readFileSync(`crds/generated/orcacache.dev_${definition.names.plural}.yaml`, 'utf8');
    expect(parse(text)).toEqual(JSON.parse(JSON.stringify(customResourceDefinition(definition))));
    expect(Buffer.byteLength(text)).toBeLessThan(MAX_CRD_BYTES);
  });

  test('limits the size of every string, list and map', () => {
    const isUnbounded = ({ schema }: Node): boolean =>
      (schema.type === 'string' && schema.enum === undefined && schema.maxLength === undefined) ||
      (schema['x-kubernetes-int-or-string'] === true && schema.maxLength === undefined) ||
      (schema.type === 'array' && schema.maxItems === undefined) ||
      (schema.additionalProperties !== undefined && schema.maxProperties === undefined);
    expect(all.filter(isUnbounded).map(({ path }) => path)).toEqual([]);
  });

  test('describes every field', () => {
    const isMissing = ({ schema, path }: Node): boolean =>
      schema.description === undefined && !/(\[\]|[.][*])$/.test(path);
    expect(all.filter(isMissing).map(({ path }) => path)).toEqual([]);
  });

  test('states every default and a reason for it at the end of the description', () => {
    const isUnexplained = ({ schema }: Node): boolean => {
      const value = schema.default;
      if (value === undefined || schema.properties !== undefined) return false;
      const stated = / Default: (`[^`]+`|[^,]+), .+[.]$/.exec(schema.description ?? '')?.[1]?.replaceAll('`', '');
      // Lists, maps and the empty string are stated in words.
      const isInWords = typeof value === 'object' || value === '';
      return stated === undefined || (!isInWords && stated !== `${value as string | number | boolean}`);
    };
    expect(all.filter(isUnexplained).map(({ path }) => path)).toEqual([]);
  });

  test('has each rule in CEL with a one-line message, and in TypeScript unless it compares with the old object', () => {
    const rules = all.flatMap(({ path, schema }) =>
      (schema['x-kubernetes-validations'] ?? []).map((rule) => ({ path, rule })),
    );
    const isIncomplete = ({ rule }: (typeof rules)[number]): boolean =>
      rule.rule === undefined ||
      rule.message.includes('\n') ||
      (rule.holds === undefined) !== rule.rule.includes('oldSelf');
    expect(rules.length).toBeGreaterThan(10);
    expect(rules.filter(isIncomplete).map(({ path }) => path)).toEqual([]);
  });
});
