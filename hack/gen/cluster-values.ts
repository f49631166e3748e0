/**
 * charts/orcacache-cluster/values.schema.json: the words of an OrcaCache's spec as the values of a cache, so that helm
 * refuses a misspelt one by its path before the API server is asked.
 */
import { MAX_NAME_LENGTH } from '#crds/names.ts';
import type { Schema } from '#crds/schema/json-schema.ts';
import { spec } from '#crds/schema/spec.ts';

const MAP = { type: 'object', additionalProperties: { type: 'string' } };
const OBJECTS = { type: 'array', items: { type: 'object' } };
/** As Prometheus writes it; empty is none. */
const DURATION = { type: 'string', pattern: '^([0-9]+(ms|s|m|h))*$' };
const TEXT = { type: 'string', minLength: 1 };

export function clusterValuesSchema(): string {
  return `${JSON.stringify(valuesSchema(), undefined, 2)}\n`;
}

function valuesSchema(): object {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $comment: 'Generated from crds/ by hack/gen.ts: change that, then run npm run gen.',
    title: 'Values of the orcacache-cluster chart',
    ...closed({
      global: { type: 'object', description: 'What other charts share; this one has no use for it.' },
      caches: {
        type: 'object',
        propertyNames: { pattern: '^[a-z]([-a-z0-9]*[a-z0-9])?$', maxLength: MAX_NAME_LENGTH },
        additionalProperties: {
          ...closed({ labels: MAP, annotations: MAP, spec: { $ref: '#/$defs/spec' } }),
          // Takes away one of another values file.
          type: ['object', 'null'],
          required: ['spec'],
        },
      },
      defaults: { $ref: '#/$defs/spec' },
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
    $defs: { spec: ofMap(spec) },
  };
}

function closed(properties: Readonly<Record<string, object>>): object {
  return { type: 'object', additionalProperties: false, properties };
}

/** What is in a map may stand in `defaults` or in the cache; only together they have what the CRD requires. */
function ofMap(schema: Schema): object {
  return words(schema, ofMap);
}

/** A list comes from one of both, whole. */
function ofList(schema: Schema): object {
  return { ...words(schema, ofList), ...(schema.required === undefined ? {} : { required: schema.required }) };
}

function words(schema: Schema, member: (schema: Schema) => object): object {
  const { type, description, minLength, maxLength, minimum, maximum, minItems, maxItems, maxProperties } = schema;
  const { properties, additionalProperties, items } = schema;
  // A bound of text would hold up numbers: the API server has it in a rule.
  if (schema['x-kubernetes-int-or-string'] === true)
    return { type: ['integer', 'string'], ...defined({ description }) };
  return {
    ...defined({ type, description, enum: schema.enum, minLength, maxLength, minimum, maximum }),
    ...defined({ minItems, maxItems, maxProperties }),
    ...(items === undefined ? {} : { items: ofList(items) }),
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
