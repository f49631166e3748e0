/** The OrcaPrewarm as a resource: schema, names and printer columns. */
import type { Schema } from '#crds/schema/json-schema.ts';
import { prewarmSpec } from '#crds/schema/prewarm-spec.ts';
import { prewarmStatus } from '#crds/schema/prewarm-status.ts';
import { column, conditionField, type Definition } from './definition.ts';
import { MAX_PREWARM_NAME_LENGTH, PREWARM } from './names.ts';

export const prewarmResource = {
  type: 'object',
  description:
    'Fetches objects into a cache before clients read them, once or by a schedule, reports its progress, and optionally ' +
    'pins them.',
  required: ['spec'],
  properties: {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: { type: 'object' },
    spec: prewarmSpec,
    status: prewarmStatus,
  },
  'x-kubernetes-validations': [
    {
      rule: `size(self.metadata.name) <= ${MAX_PREWARM_NAME_LENGTH}`,
      message: `metadata.name must be at most ${MAX_PREWARM_NAME_LENGTH} characters`,
      reads: ['metadata'],
      holds: ({ metadata }: { readonly metadata?: { readonly name?: unknown } }) =>
        typeof metadata?.name !== 'string' || metadata.name.length <= MAX_PREWARM_NAME_LENGTH,
    },
  ],
} as const satisfies Schema;

export const ORCA_PREWARM: Definition = {
  names: PREWARM,
  resource: prewarmResource,
  columns: [
    column('Cache', 'string', '.spec.cacheRef.name', 'The cache that is warmed.'),
    column('Status', 'string', '.status.state', 'Summary of the conditions.'),
    column('Progress', 'string', '.status.progress', 'Share and sizes of what is done.'),
    column('Rate', 'string', '.status.rate', 'Bytes per second.'),
    // Not a date: kubectl shows the age of a date, which is invalid for one in the future.
    column('ETA', 'string', '.status.estimatedCompletionTime', 'When the run will be complete at this rate.'),
    column('Age', 'date', '.metadata.creationTimestamp', 'Time since the prewarm was created.'),
    { ...column('Objects', 'integer', '.status.objects.total', 'Number of objects found.'), priority: 1 },
    { ...column('Failed', 'integer', '.status.objects.failed', 'Number of objects that failed.'), priority: 1 },
    { ...column('Pin', 'string', '.status.pin', 'Whether the chunks are pinned.'), priority: 1 },
    { ...column('Next', 'string', '.status.nextRunTime', 'When the next run starts.'), priority: 1 },
    {
      ...column('Message', 'string', conditionField('Ready', 'message'), 'Message of the Ready condition.'),
      priority: 1,
    },
  ],
  subresources: { status: {} },
};
