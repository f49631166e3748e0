/** The status of an OrcaCache. It is small and changes rarely: it has no counters that change with every request. */
import { choice, text } from './field-builders.ts';
import type { Schema } from './json-schema.ts';

const count = (description: string) => ({ type: 'integer', format: 'int32', description }) as const;
const generation = (description: string) => ({ type: 'integer', format: 'int64', description }) as const;

export const status = {
  type: 'object',
  description: 'Last state that the operator observed.',
  // Before the first reconcile a tool that waits must see "in progress", not "no status, so done".
  default: { observedGeneration: -1 },
  properties: {
    observedGeneration: generation('Generation of the spec that this status describes.'),
    replicas: count('Number of pods.'),
    readyReplicas: count('Number of ready pods.'),
    updatedReplicas: count('Number of pods with the newest configuration.'),
    selector: text('Label selector of the pods, for autoscalers.', { maxLength: 512 }),
    endpoint: text('URL for clients inside the cluster.', { maxLength: 512 }),
    configHash: text('Hash of the configuration of the pods.', { maxLength: 64 }),
    version: text('Version of the operator that wrote this status.', { maxLength: 128 }),
    conditions: {
      type: 'array',
      description:
        'Ready, Reconciling and Stalled describe the rollout of the spec. OriginReachable, CacheStoreReady and ' +
        'RuntimeApplied describe the running replicas.',
      maxItems: 16,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        required: ['type', 'status', 'observedGeneration', 'lastTransitionTime', 'reason', 'message'],
        properties: {
          type: text('Type of the condition.', { maxLength: 316, minLength: 1 }),
          status: choice('Whether the condition holds.', 'True', 'False', 'Unknown'),
          observedGeneration: generation('Generation of the spec that the condition describes.'),
          lastTransitionTime: {
            type: 'string',
            format: 'date-time',
            description: 'When `status` last changed.',
            maxLength: 64,
          },
          reason: text('Reason for the status, a CamelCase identifier from a closed list.', {
            maxLength: 128,
            minLength: 1,
          }),
          message: text('Human-readable explanation.', { maxLength: 4096 }),
        },
      },
    },
  },
} as const satisfies Schema;
