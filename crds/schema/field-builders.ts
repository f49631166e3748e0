/** Schema builders for the recurring kinds of fields. Each carries its bounds as CEL, as TypeScript and as one message. */
import { DURATION_PATTERN, parseDuration } from '#crds/duration.ts';
import { parseQuantity, QUANTITY_PATTERN } from '#crds/quantity.ts';

/** Long enough for any duration that a person writes; bounds the cost of the CEL rules. */
const MAX_DURATION_LENGTH = 32;
/** 15 digits, or 6 digits and a unit. */
const MAX_QUANTITY_LENGTH = 16;

/** A duration from `min` to `max`, both inclusive. */
export function duration(description: string, min: string, max: string) {
  const minMs = parseDuration(min) ?? Number.NaN;
  const maxMs = parseDuration(max) ?? Number.NaN;
  return {
    type: 'string',
    description: `${description} From ${min} to ${max}.`,
    maxLength: MAX_DURATION_LENGTH,
    'x-kubernetes-validations': [
      {
        rule: `self.matches('${DURATION_PATTERN}') && duration(self) >= duration('${min}') && duration(self) <= duration('${max}')`,
        message: `must be a duration from ${min} to ${max}, such as 500ms, 5s or 1h30m`,
        holds: (text: string) => isWithin(parseDuration(text), minMs, maxMs),
      },
    ],
  } as const;
}

/** A number of bytes from `min` to `max`, both inclusive. */
export function size(description: string, min: string, max: string) {
  const minBytes = parseQuantity(min) ?? Number.NaN;
  const maxBytes = parseQuantity(max) ?? Number.NaN;
  return {
    description: `${description} From ${min} to ${max}.`,
    maxLength: MAX_QUANTITY_LENGTH,
    pattern: QUANTITY_PATTERN,
    'x-kubernetes-int-or-string': true,
    'x-kubernetes-validations': [
      {
        // A list of one item is a variable: each conversion costs as if the text were 3 MB long, before Kubernetes 1.34.
        rule:
          '[string(self)].all(s, isQuantity(s) && [quantity(s)].all(q, ' +
          `q.compareTo(quantity('${min}')) >= 0 && q.compareTo(quantity('${max}')) <= 0))`,
        message: `must be a size from ${min} to ${max}, such as 8Mi, 1Gi or 8388608`,
        holds: (value: string | number) => isWithin(parseQuantity(value), minBytes, maxBytes),
      },
    ],
  } as const;
}

/** A string. `pattern` must mean the same in RE2 and in JavaScript, and must contain no backslash and no quote. */
export function text(
  description: string,
  options: { maxLength: number; pattern?: string; message?: string; minLength?: number },
) {
  const { pattern, message = `must match ${pattern}` } = options;
  return {
    type: 'string',
    description,
    ...(options.minLength === undefined ? {} : { minLength: options.minLength }),
    maxLength: options.maxLength,
    ...(pattern === undefined
      ? {}
      : {
          'x-kubernetes-validations': [
            {
              rule: `self.matches('${pattern}')`,
              message,
              holds: (value: string) => new RegExp(pattern).test(value),
            },
          ],
        }),
  } as const;
}

export function flag(description: string) {
  return { type: 'boolean', description } as const;
}

export function integer(description: string, minimum: number, maximum: number) {
  return { type: 'integer', format: 'int32', description, minimum, maximum } as const;
}

export function choice<const E extends readonly string[]>(description: string, ...values: E) {
  return { type: 'string', description, enum: values } as const;
}

/** Adds a default and ends the description with it and its reason; `shown` is for values that read badly as text. */
export function withDefault<S extends { readonly description: string }, const D>(
  schema: S,
  value: D,
  reason: string,
  shown = String(value),
): S & { readonly default: D } {
  return { ...schema, description: `${schema.description} Default: ${shown}, ${reason}.`, default: value };
}

/** The same field without its default, for a file in which an omitted key keeps its present value. */
export function withoutDefault<S extends { readonly default: unknown; readonly description: string }>(
  schema: S,
): Omit<S, 'default'> {
  const { default: _default, ...rest } = schema;
  return { ...rest, description: schema.description.replace(/ Default: .*$/, '') };
}

/** The name of a Kubernetes object. */
export function objectName(description: string) {
  return text(description, {
    maxLength: 253,
    pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$',
    message:
      "must be the name of a Kubernetes object: a-z, 0-9, '-' and '.', beginning and ending with a letter or digit",
  });
}

/** A reference to an object of the given kind in the cache's own namespace. */
export function objectReference(description: string, kind: string) {
  return {
    type: 'object',
    description,
    required: ['name'],
    properties: { name: objectName(`Name of the ${kind}.`) },
  } as const;
}

/** One rule of a union: `member` is set exactly when the union's `type` is the given one. */
export function unionMember(type: string, member: string) {
  return {
    rule: `(self.type == '${type}') == has(self.${member})`,
    message: `must be set exactly when type is ${type}`,
    fieldPath: `.${member}`,
    reads: ['type'],
    holds: (value: { readonly type: string }) => (value.type === type) === member in value,
  } as const;
}

/** CEL for the number of bytes of a size. Use it only behind a check with `isNotWhole`. */
export function bytes(cel: string): string {
  return `${quantity(cel)}.asInteger()`;
}

/**
 * CEL for a size as a quantity, for comparisons. Unlike `bytes` it takes every size that matches QUANTITY_PATTERN: the API
 * server converts 99Ti to an integer, but not 100Ti.
 */
export function quantity(cel: string): string {
  return `quantity(string(${cel}))`;
}

/** CEL for a size that is malformed, a fraction, or too large for `bytes`. */
export function isNotWhole(cel: string): string {
  return `(!isQuantity(string(${cel})) || !${quantity(cel)}.isInteger())`;
}

function isWithin(value: number | undefined, min: number, max: number): boolean {
  return value !== undefined && value >= min && value <= max;
}

/** A map of texts, such as labels. `maxLength` limits each value. */
export function stringMap(description: string, maxLength: number) {
  return {
    type: 'object',
    description,
    maxProperties: 64,
    additionalProperties: { type: 'string', maxLength },
  } as const;
}
