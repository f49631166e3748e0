/** The OrcaCache as a resource: schema, names and printer columns. */
import type { Schema } from '#crds/schema/json-schema.ts';
import { spec } from '#crds/schema/spec.ts';
import { status } from '#crds/schema/status.ts';
import { column, conditionField, type Column, type Definition } from './definition.ts';
import { CRD_NAME, KIND, LIST_KIND, MAX_NAME_LENGTH, PLURAL, SHORT_NAME, SINGULAR } from './names.ts';

/** A DNS-1035 label, because the cache's Service has the same name. */
const NAME_PATTERN = '^[a-z]([-a-z0-9]*[a-z0-9])?$';

function isName(name: unknown): boolean {
  return typeof name === 'string' && new RegExp(NAME_PATTERN).test(name) && name.length <= MAX_NAME_LENGTH;
}

export const cacheResource = {
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

/** Columns of `kubectl get`; those with priority 1 only with `-o wide`. */
const columns: readonly Column[] = [
  column(
    'Ready',
    'string',
    conditionField('Ready', 'status'),
    'Whether the spec is rolled out and the cache serves clients.',
  ),
  column('Replicas', 'integer', '.status.readyReplicas', 'Number of ready pods.'),
  column('Desired', 'integer', '.spec.replicas', 'Desired number of pods.'),
  column('Used', 'string', '.status.cacheStore.usage', 'Size of the chunks in the cachestore, and its capacity.'),
  column('Origin', 'string', '.spec.origin.id', 'ID of the origin.'),
  column('Endpoint', 'string', '.status.endpoint', 'URL for clients inside the cluster.'),
  column('Age', 'date', '.metadata.creationTimestamp', 'Time since the cache was created.'),
  { ...column('Reason', 'string', conditionField('Ready', 'reason'), 'Reason of the Ready condition.'), priority: 1 },
  {
    ...column('Message', 'string', conditionField('Ready', 'message'), 'Message of the Ready condition.'),
    priority: 1,
  },
];

export const ORCA_CACHE: Definition = {
  names: {
    kind: KIND,
    listKind: LIST_KIND,
    plural: PLURAL,
    singular: SINGULAR,
    shortName: SHORT_NAME,
    crdName: CRD_NAME,
  },
  resource: cacheResource,
  columns,
  subresources: {
    status: {},
    scale: {
      specReplicasPath: '.spec.replicas',
      statusReplicasPath: '.status.replicas',
      labelSelectorPath: '.status.selector',
    },
  },
};
