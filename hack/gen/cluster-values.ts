/**
 * Generates charts/orcacache-cluster/values.schema.json. The values of a cache and of a prewarm have the schema of its spec,
 * so helm rejects a misspelt key with its path before the request reaches the API server.
 */
import { MAX_NAME_LENGTH, MAX_PREWARM_NAME_LENGTH } from '#crds/names.ts';
import type { Schema } from '#crds/schema/json-schema.ts';
import { prewarmSpec } from '#crds/schema/prewarm-spec.ts';
import { spec } from '#crds/schema/spec.ts';

const MAP = { type: 'object', additionalProperties: { type: 'string' } };
const OBJECTS = { type: 'array', items: { type: 'object' } };
/** A duration in Prometheus notation, or empty. */
const DURATION = { type: 'string', pattern: '^([0-9]+(ms|s|m|h))*$' };
const TEXT = { type: 'string', minLength: 1 };

export function clusterValuesSchema(): string {
  return `${JSON.stringify(valuesSchema(), undefined, 2)}\n`;
}

function valuesSchema(): object {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $comment: 'Generated from crds/ by hack/gen.ts. Do not edit: change crds/ or hack/gen/ and run npm run gen.',
    title: 'Values of the orcacache-cluster chart',
    ...closed({
      global: {
        type: 'object',
        description: 'Values shared by all charts of a parent chart; this chart does not use them.',
      },
      caches: {
        type: 'object',
        propertyNames: { pattern: '^[a-z]([-a-z0-9]*[a-z0-9])?$', maxLength: MAX_NAME_LENGTH },
        additionalProperties: {
          ...closed({ labels: MAP, annotations: MAP, spec: { $ref: '#/$defs/spec' } }),
          // null removes a cache that another values file defines.
          type: ['object', 'null'],
          required: ['spec'],
        },
      },
      defaults: { $ref: '#/$defs/spec' },
      prewarms: {
        type: 'object',
        propertyNames: { pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$', maxLength: MAX_PREWARM_NAME_LENGTH },
        // null removes a prewarm that another values file defines.
        additionalProperties: { ...forList(prewarmSpec), type: ['object', 'null'] },
      },
      commonLabels: MAP,
      commonAnnotations: MAP,
      extraObjects: {
        type: 'array',
        items: { type: 'object', required: ['apiVersion', 'kind'], properties: { apiVersion: TEXT, kind: TEXT } },
      },
      podMonitor: closed({
        enabled: { type: 'boolean' },
        labels: MAP,
        interval: DURATION,
        scrapeTimeout: DURATION,
        relabelings: OBJECTS,
        metricRelabelings: OBJECTS,
      }),
      tests: closed({
        enabled: { type: 'boolean' },
        image: closed({
          registry: { type: 'string' },
          repository: TEXT,
          tag: { type: 'string', pattern: '^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$' },
          digest: { type: 'string', pattern: '^(sha256:[0-9a-f]{64})?$' },
          pullPolicy: { enum: ['Always', 'IfNotPresent', 'Never'] },
        }),
        imagePullSecrets: { type: 'array', items: { ...closed({ name: TEXT }), required: ['name'] } },
      }),
    }),
    $defs: { spec: forMap(spec) },
  };
}

function closed(properties: Readonly<Record<string, object>>): object {
  return { type: 'object', additionalProperties: false, properties };
}

/** A member of a map may be set in `defaults` or in the cache, so neither alone must have all required members. */
function forMap(schema: Schema): object {
  return valueSchema(schema, forMap);
}

/** Lists are not merged, so each item must be complete. */
function forList(schema: Schema): object {
  return { ...valueSchema(schema, forList), ...(schema.required === undefined ? {} : { required: schema.required }) };
}

function valueSchema(schema: Schema, member: (schema: Schema) => object): object {
  const { type, description, minLength, maxLength, minimum, maximum, minItems, maxItems, maxProperties } = schema;
  const { properties, additionalProperties, items } = schema;
  // A length limit applies only to strings; the API server checks both forms with a rule.
  if (schema['x-kubernetes-int-or-string'] === true)
    return { type: ['integer', 'string'], ...defined({ description }) };
  return {
    ...defined({ type, description, enum: schema.enum, minLength, maxLength, minimum, maximum }),
    ...defined({ minItems, maxItems, maxProperties }),
    ...(items === undefined ? {} : { items: forList(items) }),
    ...(additionalProperties === undefined ? {} : { additionalProperties: member(additionalProperties) }),
    ...(properties === undefined
      ? {}
      : {
          additionalProperties: false,
          properties: Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, member(value)])),
        }),
  };
}

function defined(record: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}
