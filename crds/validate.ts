/**
 * Validates values against a schema without an API server: ajv checks the structure, then the TypeScript rules check
 * every part whose structure is valid. It finds the same problems as the API server, all at once, each with its path.
 */
import { Ajv } from 'ajv';
import type { AnySchemaObject, ErrorObject } from 'ajv';
import type { Infer, Schema } from '#crds/schema/json-schema.ts';
import { nearMiss } from './near-miss.ts';
import { cacheResource } from './orca-cache.ts';
import { prewarmResource } from './orca-prewarm.ts';
import type { OrcaCache, OrcaPrewarm } from './types.ts';

export interface Problem {
  /** Keys and list indexes from the root; empty for the root itself. */
  readonly path: readonly (string | number)[];
  /** One line, without the path. */
  readonly message: string;
}

export type ValidationResult<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false;
      readonly problems: readonly [Problem, ...Problem[]];
      /** Present if the structure is valid and only rules are broken. */
      readonly value: T | undefined;
    };

/** Compiles the schema once. The returned function validates a copy of its input, applies defaults and returns the copy. */
export function validator<S extends Schema>(schema: S): (input: unknown) => ValidationResult<Infer<S>> {
  const ajv = new Ajv({ allErrors: true, useDefaults: true, allowUnionTypes: true, strictTypes: false, verbose: true });
  const check = ajv.compile(closed(schema));
  return (input) => {
    const value: unknown = structuredClone(input);
    const errors = check(value) ? [] : (check.errors ?? []);
    const structure = errors.map((error) => structureProblem(error, value));
    const broken = structure.map((problem) => problem.path);
    const [first, ...others] = [...structure, ...ruleProblems(schema, value, [], broken)];
    if (first === undefined) return { ok: true, value: value as Infer<S> };
    return { ok: false, problems: [first, ...others], value: broken.length === 0 ? (value as Infer<S>) : undefined };
  };
}

/** Validates an OrcaCache as a user writes it and applies the defaults that the API server would. */
export const parseOrcaCache = validator(cacheResource) as (input: unknown) => ValidationResult<OrcaCache>;

/** The same for an OrcaPrewarm. */
export const parseOrcaPrewarm = validator(prewarmResource) as (input: unknown) => ValidationResult<OrcaPrewarm>;

/** `origin.buckets[1].name` */
export function formatPath(path: readonly (string | number)[]): string {
  return path
    .map((step, index) => {
      if (typeof step === 'number') return `[${step}]`;
      if (!/^[A-Za-z0-9_-]+$/.test(step)) return `["${step}"]`;
      return index === 0 ? step : `.${step}`;
    })
    .join('');
}

/** Rejects unknown keys: the API server drops them silently, but the author of a misspelt key needs an error. */
function closed(schema: Schema): AnySchemaObject {
  const {
    description: _description,
    format: _format,
    pattern: _pattern,
    properties,
    items,
    additionalProperties,
    ...rest
  } = schema;
  const plain = Object.fromEntries(Object.entries(rest).filter(([key]) => !key.startsWith('x-kubernetes-')));
  return {
    ...plain,
    ...(schema['x-kubernetes-int-or-string'] === true ? { type: ['integer', 'string'] } : {}),
    ...(items === undefined ? {} : { items: closed(items) }),
    ...(additionalProperties === undefined ? {} : { additionalProperties: closed(additionalProperties) }),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, closed(value)])),
          additionalProperties: false,
        }),
  };
}

type Path = readonly (string | number)[];

function* ruleProblems(schema: Schema, value: unknown, path: Path, broken: readonly Path[]): Generator<Problem> {
  if (broken.some((other) => isSamePath(other, path))) return;
  if (Array.isArray(value)) {
    yield* duplicates(schema, value, path);
    for (const [index, item] of value.entries())
      if (schema.items !== undefined) yield* ruleProblems(schema.items, item, [...path, index], broken);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      const { properties = {}, additionalProperties } = schema;
      const memberSchema = Object.hasOwn(properties, key) ? properties[key] : additionalProperties;
      if (memberSchema !== undefined) yield* ruleProblems(memberSchema, member, [...path, key], broken);
    }
  }
  const below = broken
    .filter((other) => isSamePath(other.slice(0, path.length), path))
    .map((other) => other[path.length]);
  for (const { holds, explain, reads, message, fieldPath } of schema['x-kubernetes-validations'] ?? []) {
    // A rule runs only if the members it reads are well formed, because its TypeScript types assume so.
    const isReadable = below.every((step) => reads !== undefined && !reads.some((name) => name === step));
    if (holds !== undefined && isReadable && !holds(value as never))
      yield { path: [...path, ...fieldSteps(fieldPath)], message: explain?.(value as never) ?? message };
  }
}

/** Uniqueness of items, which the API server enforces for the list types `map` and `set`. */
function* duplicates(schema: Schema, items: readonly unknown[], path: Path): Generator<Problem> {
  const keys = schema['x-kubernetes-list-map-keys'];
  const isSet = schema['x-kubernetes-list-type'] === 'set';
  if (keys === undefined && !isSet) return;
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const identity = JSON.stringify(
      keys === undefined ? item : keys.map((key) => (item as Record<string, unknown>)?.[key]),
    );
    if (seen.has(identity))
      yield {
        path: [...path, index],
        message: `is a duplicate${keys === undefined ? '' : ` (same ${keys.join(' and ')})`}`,
      };
    seen.add(identity);
  }
}

function structureProblem(error: ErrorObject, root: unknown): Problem {
  const path = pointerSteps(error.instancePath, root);
  const params = error.params as Readonly<Record<string, unknown>>;
  switch (error.keyword) {
    case 'required':
      return { path: [...path, String(params['missingProperty'])], message: 'is required' };
    case 'additionalProperties':
      return unknownKey(path, String(params['additionalProperty']), error.parentSchema);
    case 'enum':
      return { path, message: `must be one of ${(params['allowedValues'] as readonly string[]).join(', ')}` };
    case 'type':
      return { path, message: `must be ${typeName(params['type'])}` };
    case 'minLength':
      return { path, message: params['limit'] === 1 ? 'must not be empty' : (error.message ?? error.keyword) };
    default:
      return { path, message: error.message ?? error.keyword };
  }
}

function unknownKey(path: Path, key: string, parentSchema: AnySchemaObject | undefined): Problem {
  const properties = parentSchema?.['properties'] as Readonly<Record<string, unknown>> | undefined;
  const meant = nearMiss(key, Object.keys(properties ?? {}));
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
  return { path: [...path, key], message: `is not a known key${hint}` };
}

function typeName(type: unknown): string {
  const names: Readonly<Record<string, string>> = {
    object: 'a map',
    array: 'a list',
    string: 'a string',
    integer: 'an integer',
    boolean: 'true or false',
  };
  return (Array.isArray(type) ? type : [type]).map((name) => names[String(name)] ?? String(name)).join(' or ');
}

/** Splits a JSON pointer into steps; an index into a list becomes a number. */
function pointerSteps(pointer: string, root: unknown): Path {
  const steps: (string | number)[] = [];
  let at: unknown = root;
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    const step = Array.isArray(at) ? Number(key) : key;
    at = (at as Record<string | number, unknown> | undefined)?.[step];
    steps.push(step);
  }
  return steps;
}

function fieldSteps(fieldPath: string | undefined): readonly string[] {
  return fieldPath === undefined ? [] : fieldPath.split('.').slice(1);
}

function isSamePath(one: Path, other: Path): boolean {
  return one.length === other.length && one.every((step, index) => step === other[index]);
}
