/** Builders for fields that the status of every resource has. */
import { choice, text } from './field-builders.ts';

export const timestamp = (description: string) =>
  ({ type: 'string', format: 'date-time', description, maxLength: 64 }) as const;

export const generation = (description: string) => ({ type: 'integer', format: 'int64', description }) as const;

export function conditions(description: string) {
  return {
    type: 'array',
    description,
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
        lastTransitionTime: timestamp('When `status` last changed.'),
        reason: text('Reason for the status, a CamelCase identifier from a closed list.', {
          maxLength: 128,
          minLength: 1,
        }),
        message: text('Human-readable explanation.', { maxLength: 4096 }),
      },
    },
  } as const;
}
