/** The status of an OrcaCache: small and slow, no counters that change with every request. */
import type { Schema } from './json-schema.ts';
import { choice, text } from './field-builders.ts';

const count = (description: string) => ({ type: 'integer', format: 'int32', description }) as const;
const generation = (description: string) => ({ type: 'integer', format: 'int64', description }) as const;

export const status = {
  type: 'object',
  description: 'What the operator last saw.',
  // Before the first reconcile a tool that waits must see "in progress", not "no status, so done".
  default: { observedGeneration: -1 },
  properties: {
    observedGeneration: generation('Generation of the spec that this status speaks of.'),
    replicas: count('Pods that exist.'),
    readyReplicas: count('Pods that are ready.'),
    updatedReplicas: count('Pods of the newest configuration.'),
    selector: text('Label selector of the pods, for autoscalers.', { maxLength: 512 }),
    endpoint: text('URL for clients inside the cluster.', { maxLength: 512 }),
    configHash: text('Hash of the pods’ configuration.', { maxLength: 64 }),
    version: text('Version of the operator that wrote this.', { maxLength: 128 }),
    conditions: {
      type: 'array',
      description: 'Ready, Reconciling and Stalled tell how far the spec is rolled out.',
      maxItems: 16,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        required: ['type', 'status', 'observedGeneration', 'lastTransitionTime', 'reason', 'message'],
        properties: {
          type: text('What it is about.', { maxLength: 316, minLength: 1 }),
          status: choice('Whether it holds.', 'True', 'False', 'Unknown'),
          observedGeneration: generation('Generation of the spec that it speaks of.'),
          lastTransitionTime: {
            type: 'string',
            format: 'date-time',
            description: 'When `status` last changed.',
            maxLength: 64,
          },
          reason: text('One word of a closed list.', { maxLength: 128, minLength: 1 }),
          message: text('For people.', { maxLength: 4096 }),
        },
      },
    },
  },
} as const satisfies Schema;
