/** The spec of an OrcaPrewarm. */
import { duration, flag, integer, objectReference, size, withDefault } from './field-builders.ts';
import type { Rule, Schema } from './json-schema.ts';
import { schedule, timeZone } from './prewarm-schedule.ts';
import { targets } from './prewarm-targets.ts';

/** 68 years, the largest number of seconds that Kubernetes stores in its own fields of this kind. */
const MAX_SECONDS = 2_147_483_647;

/**
 * A run that is under way, and pins and progress of earlier ones, belong to what these fields say. The rules are those of
 * the spec and not of the fields, because a rule with oldSelf does not run when its field is added or removed.
 */
const IMMUTABLE = ['cacheRef', 'targets', 'pin', 'schedule', 'timeZone'] as const;

function immutable(field: (typeof IMMUTABLE)[number]): Rule {
  return {
    rule: `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`,
    message: `is immutable; create a new OrcaPrewarm with another ${field}`,
    fieldPath: `.${field}`,
  };
}

export const prewarmSpec = {
  type: 'object',
  description:
    'What is fetched, and how. Only `suspend`, `maxBytesPerSecond`, `parallelism`, `activeDeadlineSeconds` and ' +
    '`ttlSecondsAfterFinished` can change.',
  required: ['cacheRef', 'targets'],
  properties: {
    cacheRef: objectReference('The cache that fetches and stores the objects, in the same namespace.', 'OrcaCache'),
    targets,
    maxBytesPerSecond: size(
      'Upper bound of what all replicas together fetch from the origin for this prewarm, in bytes per second. If ' +
        'omitted, there is no limit except that clients come first.',
      // A chunk may be as small.
      '1Mi',
      '1Ti',
    ),
    parallelism: withDefault(
      integer('Number of chunks that all replicas together fetch at once for this prewarm.', 1, 1024),
      32,
      'which fills 10 Gbit/s from an object store that serves 40 MB/s per request',
    ),
    pin: {
      type: 'object',
      description:
        'Keeps the chunks from being evicted. Pinned chunks may take `maxPinned` of the cache; a run that exceeds it ' +
        'continues without a pin. If omitted, they are evicted like all others.',
      properties: {
        ttl: duration(
          'How long after the end of the run the pin lasts; the next scheduled run renews it. If omitted, until the ' +
            'OrcaPrewarm is deleted.',
          '1m',
          '87600h',
        ),
      },
    },
    schedule,
    timeZone,
    suspend: withDefault(
      flag(
        'Stops the run within seconds, and starts no new one. What is stored stays. When it is false again, the run continues.',
      ),
      false,
      'which starts at once, or by the schedule',
    ),
    activeDeadlineSeconds: integer(
      'How long a run may take, in seconds, before it fails. Time in suspension does not count. If omitted, there is ' +
        'no limit.',
      1,
      MAX_SECONDS,
    ),
    ttlSecondsAfterFinished: integer(
      'How long after its run an OrcaPrewarm is deleted, in seconds; not before its pin expires, and never with a ' +
        'schedule or with a pin without `ttl`. If omitted, it is kept.',
      0,
      MAX_SECONDS,
    ),
  },
  'x-kubernetes-validations': IMMUTABLE.map(immutable),
} as const satisfies Schema;
