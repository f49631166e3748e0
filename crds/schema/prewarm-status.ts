/** The status of an OrcaPrewarm. Written at most every 5 seconds while a run is active. */
import { choice, text } from './field-builders.ts';
import type { Schema } from './json-schema.ts';
import { conditions, generation, timestamp } from './status-fields.ts';

/** Exact, so that sums can be checked: 64 bits hold 9 EB. */
const count = (description: string) => ({ type: 'integer', format: 'int64', description }) as const;

const objects = {
  type: 'object',
  description: 'Numbers of objects of the newest run.',
  required: ['total', 'done', 'failed'],
  properties: {
    total: count('Objects that were found so far; all of them once `listed` is true.'),
    done: count('Objects whose chunks are all in the cachestore.'),
    failed: count('Objects that could not be stored after three attempts.'),
  },
} as const satisfies Schema;

const bytes = {
  type: 'object',
  description: 'Numbers of bytes of the newest run, exact.',
  required: ['total', 'done', 'fromOrigin', 'alreadyStored'],
  properties: {
    total: count('Size of the objects that were found so far.'),
    done: count('Size of the chunks that are in the cachestore, by this run or before it.'),
    fromOrigin: count('Bytes that this run fetched from the origin.'),
    alreadyStored: count('Size of the chunks that were in the cachestore before this run got to them.'),
  },
} as const satisfies Schema;

export const prewarmStatus = {
  type: 'object',
  description: 'Last state that the operator observed.',
  // Before the first reconcile a tool that waits must see "in progress", not "no status, so done".
  default: { observedGeneration: -1 },
  properties: {
    observedGeneration: generation('Generation of the spec that this status describes.'),
    state: choice(
      'Summary of the conditions, for people.',
      'Pending',
      'Running',
      'Suspended',
      'Complete',
      'Failed',
      'Stalled',
      'Scheduled',
    ),
    runs: count('Number of the newest run; the first is 1.'),
    activeRun: count('Equal to `runs` while that run is to be done; absent otherwise.'),
    startTime: timestamp('When the newest run started, or resumed if it was suspended. Absent while it is suspended.'),
    completionTime: timestamp('When the newest run ended. Absent until then.'),
    lastRunTime: timestamp('When the newest run started for the first time.'),
    nextRunTime: timestamp('When the schedule starts the next run. Absent without a schedule.'),
    listed: { type: 'boolean', description: 'Whether every target has been listed, so that the totals are final.' },
    objects,
    bytes,
    progress: text('Share and sizes of what is done, such as `62 % 1.2/1.9Ti`.', { maxLength: 64 }),
    rate: text('Speed of the run, such as `498Mi/s`. Absent unless it is running.', { maxLength: 32 }),
    estimatedCompletionTime: timestamp('When the run will be complete at this rate. Absent while that is unknown.'),
    pin: choice(
      'Whether the chunks are pinned. Refused: they would exceed `maxPinned` of the cache, or the store has no limit to ' +
        'pin in. Absent without a pin.',
      'Pinned',
      'Refused',
    ),
    failures: {
      type: 'array',
      description: 'The first ten objects that failed.',
      maxItems: 10,
      'x-kubernetes-list-type': 'atomic',
      items: {
        type: 'object',
        required: ['key', 'reason'],
        properties: {
          key: text('Key of the object.', { maxLength: 1024 }),
          reason: text('Why, as an error code: `not_found`, `access_denied`, `object_archived`.', { maxLength: 1024 }),
        },
      },
    },
    conditions: conditions(
      'Complete, Failed and Suspended describe the newest run, as those of a Job do. Ready, Reconciling and Stalled are those ' +
        'of kstatus.',
    ),
  },
} as const satisfies Schema;
