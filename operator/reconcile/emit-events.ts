/** Emits one Kubernetes event per transition, best effort. */
import { randomBytes } from 'node:crypto';
import { GROUP } from '#crds/names.ts';
import { collectionPath } from '#operator/api/manifest.ts';
import { microTime } from '#operator/api/micro-time.ts';
import type { Transition } from '#operator/status/transitions.ts';
import type { Clock } from '#shared/clock.ts';
import type { Api } from './api.ts';

const CONTROLLER = `${GROUP}/orca-operator`;
const ACTION = 'Reconcile';
/** The API's limits: 1 kB for a note, 128 characters for an instance. */
const MAX_NOTE_BYTES = 1024;
const MAX_INSTANCE = 128;
/** The API's limit for names. */
const MAX_NAME = 253;
/** Makes names of the same millisecond unique. */
const SUFFIX_BYTES = 4;
/** Hex digits of the milliseconds since 1970; enough for 8900 years. */
const TIME_DIGITS = 12;

/** The object that the events are about. */
export interface Regarding {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion?: string;
  };
}

export async function emitEvents(
  api: Api,
  { apiVersion, kind, metadata }: Regarding,
  transitions: readonly Transition[],
  instance: string,
  clock: Clock,
): Promise<void> {
  const { name, namespace, uid, resourceVersion } = metadata;
  for (const [index, { type, reason, message }] of transitions.entries()) {
    const suffix = sortableSuffix(clock.date(), index);
    try {
      await api.write('POST', collectionPath('events.k8s.io/v1', 'events', namespace), {
        body: {
          apiVersion: 'events.k8s.io/v1',
          kind: 'Event',
          metadata: { name: `${name.slice(0, MAX_NAME - suffix.length - 1)}.${suffix}`, namespace },
          eventTime: microTime(clock.date()),
          reportingController: CONTROLLER,
          reportingInstance: `orca-operator-${instance}`.slice(0, MAX_INSTANCE),
          action: ACTION,
          type,
          reason,
          note: truncated(message),
          regarding: { apiVersion, kind, name, namespace, uid, resourceVersion },
        },
      });
    } catch (error) {
      // Not retried: the status has the same information.
      api.log.warn('failed to write an event', { reason, error });
    }
  }
}

/**
 * kubectl sorts events of this API version by name, because they have no `lastTimestamp`. So the name starts with the
 * time.
 */
function sortableSuffix(nowMs: number, index: number): string {
  const time = nowMs.toString(16).padStart(TIME_DIGITS, '0');
  return `${time}${index}${randomBytes(SUFFIX_BYTES).toString('hex')}`;
}

/** A message may quote the key of an object, which may have any characters. */
function truncated(message: string): string {
  const bytes = Buffer.from(message, 'utf8');
  if (bytes.length <= MAX_NOTE_BYTES) return message;
  // Without a character that was cut.
  return bytes
    .subarray(0, MAX_NOTE_BYTES)
    .toString('utf8')
    .replace(/\uFFFD$/, '');
}
