/** The CustomResourceDefinition as an object: the schemas of spec and status, with names and printer columns. */
import type { Schema } from '#crds/schema/json-schema.ts';
import { spec } from '#crds/schema/spec.ts';
import { status } from '#crds/schema/status.ts';
import {
  CATEGORY,
  CRD_NAME,
  GROUP,
  KIND,
  LIST_KIND,
  MAX_NAME_LENGTH,
  PLURAL,
  SHORT_NAME,
  SINGULAR,
  VERSION,
} from './names.ts';

/** A DNS-1035 label, because the cache's Service has the same name. */
const NAME_PATTERN = '^[a-z]([-a-z0-9]*[a-z0-9])?$';

function isName(name: unknown): boolean {
  return typeof name === 'string' && new RegExp(NAME_PATTERN).test(name) && name.length <= MAX_NAME_LENGTH;
}

export const resource = {
  type: 'object',
  description:
    'A read-only S3 cache in front of a remote object store. Its pods serve objects of the origin and fetch each chunk ' +
    'from it once.',
  required: ['spec'],
  properties: {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: { type: 'object' },
    spec,
    status,
  },
  'x-kubernetes-validations': [
    {
      rule: `self.metadata.name.matches('${NAME_PATTERN}') && size(self.metadata.name) <= ${MAX_NAME_LENGTH}`,
      message: `metadata.name must be at most ${MAX_NAME_LENGTH} characters of a-z, 0-9 and '-', beginning with a letter and not ending with '-'`,
      reads: ['metadata'],
      holds: (value: { readonly metadata?: { readonly name?: unknown } }) => isName(value.metadata?.name),
    },
  ],
} as const satisfies Schema;

const column = (name: string, type: string, jsonPath: string, description: string) => ({
  name,
  type,
  jsonPath,
  description,
});
const readyField = (field: string) => `.status.conditions[?(@.type=="Ready")].${field}`;

/** Columns of `kubectl get`; those with priority 1 only with `-o wide`. */
const additionalPrinterColumns = [
  column('Ready', 'string', readyField('status'), 'Whether the spec is rolled out and the cache serves clients.'),
  column('Replicas', 'integer', '.status.readyReplicas', 'Number of ready pods.'),
  column('Desired', 'integer', '.spec.replicas', 'Desired number of pods.'),
  column('Used', 'string', '.status.cacheStore.usage', 'Size of the chunks in the cachestore, and its capacity.'),
  column('Origin', 'string', '.spec.origin.id', 'ID of the origin.'),
  column('Endpoint', 'string', '.status.endpoint', 'URL for clients inside the cluster.'),
  column('Age', 'date', '.metadata.creationTimestamp', 'Time since the cache was created.'),
  { ...column('Reason', 'string', readyField('reason'), 'Reason of the Ready condition.'), priority: 1 },
  { ...column('Message', 'string', readyField('message'), 'Message of the Ready condition.'), priority: 1 },
];

export function customResourceDefinition() {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: CRD_NAME },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: KIND,
        listKind: LIST_KIND,
        plural: PLURAL,
        singular: SINGULAR,
        shortNames: [SHORT_NAME],
        categories: [CATEGORY],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.replicas',
              statusReplicasPath: '.status.replicas',
              labelSelectorPath: '.status.selector',
            },
          },
          additionalPrinterColumns,
          schema: { openAPIV3Schema: structural(resource) },
        },
      ],
    },
  };
}

/** The schema in the form that Kubernetes accepts: without the TypeScript side of the rules. */
export function structural(schema: Schema): Schema {
  const { properties, items, additionalProperties, 'x-kubernetes-validations': rules, ...rest } = schema;
  return {
    ...rest,
    ...(additionalProperties === undefined ? {} : { additionalProperties: structural(additionalProperties) }),
    ...(items === undefined ? {} : { items: structural(items) }),
    ...(properties === undefined
      ? {}
      : { properties: Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, structural(value)])) }),
    ...(rules === undefined
      ? {}
      : {
          'x-kubernetes-validations': rules.map(({ holds: _holds, explain: _explain, reads: _reads, ...rule }) => rule),
        }),
  };
}
