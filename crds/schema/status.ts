/** The status of an OrcaCache. It is small and changes rarely: it has no counters that change with every request. */
import { text } from './field-builders.ts';
import type { Schema } from './json-schema.ts';
import { conditions, generation, timestamp } from './status-fields.ts';

const count = (description: string) => ({ type: 'integer', format: 'int32', description }) as const;
/** Sizes are rounded to three digits, so that the status changes rarely. */
const size = (description: string) => text(description, { maxLength: 16 });

const cacheStore = {
  type: 'object',
  description:
    'What is in the cachestore. Absent until all of it has been listed once. Written at most every 5 minutes, and only ' +
    'after a change of 1 % or a complete sweep; metrics are current.',
  required: ['usage', 'used', 'chunks', 'pinned', 'updateTime'],
  properties: {
    usage: text('Size and capacity of the chunks, such as `14.2Ti/20Ti`; only the size if there is no limit.', {
      maxLength: 32,
    }),
    used: size('Size of the chunks of this cache.'),
    capacity: size(
      'Limit of `used`: `spec.cacheStore.capacity`, or the size of the file system. Absent if there is no limit.',
    ),
    chunks: { type: 'integer', format: 'int64', description: 'Number of chunks of this cache.' },
    pinned: size('Size of the chunks that are pinned, so that they are not evicted.'),
    foreign: size('Size of what other caches have in the same store. Absent if there is nothing.'),
    oldestRead: timestamp('Last read of the chunk that was not read for the longest time. Pinned chunks do not count.'),
    lastSweepTime: timestamp('Every chunk has been listed since then.'),
    updateTime: timestamp('When these figures were written.'),
  },
} as const satisfies Schema;

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
    cacheStore,
    conditions: conditions(
      'Ready, Reconciling and Stalled describe the rollout of the spec. OriginReachable, CacheStoreReady and ' +
        'RuntimeApplied describe the running replicas.',
    ),
  },
} as const satisfies Schema;
