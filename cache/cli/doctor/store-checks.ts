/** Checks of what the replicas report about the cachestore. */
import { countAt, flagAt, textAt, textsAt } from '#cache/cli/replies/fields.ts';
import { storeUseOf } from '#cache/cli/replies/totals.ts';
import { formatBytes } from '#cache/cli/output/units.ts';
import { error, warning, type Check } from './check.ts';
import { statusCheck } from './status-check.ts';

export const STORE_CHECKS: readonly Check[] = [
  statusCheck(
    'origin-identity',
    'The cachestore belongs to this origin',
    (status) =>
      textAt(status, 'identity', 'state') === 'conflict' ? textAt(status, 'identity', 'message') : undefined,
    (text, names) =>
      error(
        `${names} serves nothing: ${text}`,
        'Choose another spec.origin.id; for the same origin at a new address set spec.origin.identity.',
      ),
  ),
  statusCheck(
    'store',
    'The cachestore answers',
    (status) => {
      const breaker = textAt(status, 'store', 'breaker');
      return breaker === '' || breaker === 'closed' ? undefined : breaker;
    },
    (state, names) =>
      error(
        `the circuit breaker to the cachestore is ${state} at ${names}`,
        'Reads go to the origin meanwhile. Look at the cachestore, the network and the credentials.',
      ),
  ),
  statusCheck(
    'store-full',
    'The cachestore has room',
    (status) => (flagAt(status, 'store', 'full') ? 'full' : undefined),
    (_, names) =>
      error(
        `the cachestore has no space left, says ${names}`,
        'Eviction frees some within minutes. Set spec.cacheStore.capacity below the size of the store.',
      ),
  ),
  statusCheck(
    'store-writes',
    'Exactly one of many writers of a chunk wins',
    (status) => {
      const condition = textAt(status, 'store', 'condition');
      return ['', 'atomic', 'unknown'].includes(condition)
        ? undefined
        : textAt(status, 'store', 'message') || condition;
    },
    (text) =>
      warning(
        `the conditional writes of the cachestore are ${text}`,
        'It is safe, and costs one more request for each commit. None needed.',
      ),
  ),
  statusCheck(
    'store-correct',
    'The cachestore returns what was written',
    (status) => {
      const problems = textsAt(status, 'store', 'problems').filter(
        (problem) => problem !== 'list' && problem !== 'delete',
      );
      return problems.length === 0 ? undefined : `${problems.join(', ')}: ${textAt(status, 'store', 'message')}`;
    },
    (text) => error(`the cachestore changes what is written: ${text}`, 'Use another store.'),
  ),
  statusCheck(
    'store-eviction',
    'Chunks can be listed and deleted',
    (status) => {
      const problems = textsAt(status, 'store', 'problems').filter(
        (problem) => problem === 'list' || problem === 'delete',
      );
      const denied = textAt(status, 'capacity', 'evictionDenied') || problems.join(' and ');
      return denied === '' ? undefined : denied;
    },
    (text) =>
      error(
        `nothing can be evicted from the cachestore: ${text}`,
        'Grant s3:ListBucket and s3:DeleteObject on its bucket, or limit it by a lifecycle rule.',
      ),
  ),
  statusCheck(
    'store-versioned',
    'The cachestore keeps no old versions',
    (status) => (flagAt(status, 'store', 'versioned') ? 'versioned' : undefined),
    () =>
      warning(
        'the bucket of the cachestore keeps every version, so nothing is freed',
        'Suspend versioning, or expire noncurrent versions by a lifecycle rule.',
      ),
  ),
  statusCheck(
    'store-mount',
    'File operations of the cachestore return',
    (status) => (countAt(status, 'store', 'hung') > 0 ? String(countAt(status, 'store', 'hung')) : undefined),
    (count, names) =>
      error(
        `${count} file operations hang at ${names}`,
        'Look at the volume and its file server. Reads go to the origin meanwhile.',
      ),
  ),
  {
    id: 'store-capacity',
    title: 'The cachestore stays within its capacity',
    run({ pods }) {
      const use = storeUseOf(pods);
      if (use === undefined) return undefined;
      if (use.state !== 'over_capacity') return [];
      const capacity = use.capacityBytes === undefined ? '' : ` of ${formatBytes(use.capacityBytes)}`;
      return [
        error(
          `${formatBytes(use.usedBytes)}${capacity} are used, of which ${formatBytes(use.pinnedBytes)} are pinned, and nothing more can be evicted`,
          'Raise spec.cacheStore.capacity, remove pins, or lower spec.cacheStore.minAge.',
        ),
      ];
    },
  },
];
