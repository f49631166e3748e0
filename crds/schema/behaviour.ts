/**
 * The words for the cache's behaviour that the resource's spec and the pod's config file have in common. A reason
 * stands beside each default; both end up in the reference page.
 */
import { parseQuantity, QUANTITY_PATTERN } from '#crds/quantity.ts';
import type { Rule, Schema } from './json-schema.ts';
import { bytes, choice, duration, integer, size } from './field-builders.ts';

/** Chunks below are all overhead; above, four of them fill too much memory. */
const MIN_CHUNK = '1Mi';
const MAX_CHUNK = '1Gi';
const MAX_TIERS = 8;
const tierIndexes = Array.from({ length: MAX_TIERS - 1 }, (_, index) => index).join(', ');

export const chunkSize = {
  ...size(
    'Size of a chunk, the unit of fill and of commit. Default: one part of an S3 transfer.',
    MIN_CHUNK,
    MAX_CHUNK,
  ),
  default: '8Mi',
} as const satisfies Schema;

export const tiers = {
  type: 'array',
  description:
    'Larger chunks for larger objects, ascending; `[]` disables. Default: an object of 100 GiB has 800 chunks instead of 12 800.',
  maxItems: MAX_TIERS,
  default: [
    { minObjectSize: '1Gi', chunkSize: '64Mi' },
    { minObjectSize: '10Gi', chunkSize: '128Mi' },
  ],
  'x-kubernetes-list-type': 'atomic',
  items: {
    type: 'object',
    required: ['minObjectSize', 'chunkSize'],
    properties: {
      minObjectSize: size('The smallest object of the tier, in bytes.', '1', '100Ti'),
      chunkSize: size('The size of its chunks.', MIN_CHUNK, MAX_CHUNK),
    },
  },
  'x-kubernetes-validations': [
    {
      rule: `[${tierIndexes}].all(i, i + 1 >= size(self) || ${ascending('minObjectSize')})`,
      message: 'must be strictly ascending in minObjectSize',
      holds: (list: readonly TierWords[]) => isAscending(list.map((tier) => tier.minObjectSize)),
    },
    {
      rule: `[${tierIndexes}].all(i, i + 1 >= size(self) || ${ascending('chunkSize')})`,
      message: 'must be strictly ascending in chunkSize',
      holds: (list: readonly TierWords[]) => isAscending(list.map((tier) => tier.chunkSize)),
    },
  ],
} as const satisfies Schema;

export interface TierWords {
  readonly minObjectSize: string | number;
  readonly chunkSize: string | number;
}

export const readahead = {
  ...integer(
    'Chunks that one response reads ahead of its client; 0 is off. Default: 64 MiB of base chunks, the most that one response may hold.',
    0,
    64,
  ),
  default: 8,
} as const satisfies Schema;

export const chunking = {
  type: 'object',
  description: 'How objects are cut.',
  default: {},
  properties: { size: chunkSize, tiers: tiers, readahead: readahead },
} as const satisfies Schema;

export const metadata = {
  type: 'object',
  description: 'What is remembered of objects: ETag, size, headers.',
  default: {},
  properties: {
    ttl: {
      ...duration(
        'How long an object is believed unchanged. Default: one HEAD per object and 5 minutes for the whole cluster.',
        '0s',
        '720h',
      ),
      default: '5m',
    },
    negativeTTL: {
      ...duration(
        'How long "no such object" is believed. Default: short, since uploads follow failed reads.',
        '0s',
        '24h',
      ),
      default: '60s',
    },
    staleIfError: {
      ...duration(
        'How long what is known is still served while the origin does not answer. Default: a day of outage.',
        '0s',
        '720h',
      ),
      default: '24h',
    },
    maxEntries: {
      ...integer('Objects remembered per replica. Default: about 100 MiB at 1 KiB each.', 1000, 10_000_000),
      default: 100_000,
    },
  },
} as const satisfies Schema;

export const catalog = {
  type: 'object',
  description: 'What is known to be in the cachestore.',
  default: {},
  properties: {
    maxEntries: {
      ...integer(
        'Chunks remembered per replica. Default: 800 GiB in chunks of 8 MiB, in about 20 MiB of memory.',
        1000,
        10_000_000,
      ),
      default: 100_000,
    },
  },
} as const satisfies Schema;

export const memory = {
  type: 'object',
  description: 'The memory of one replica.',
  default: {},
  properties: {
    budget: size(
      'All chunk bytes of the process: windows, fills, commits, memory tier. Holds at least four of the largest chunks. ' +
        'Left out: half of the container’s memory limit, 1Gi without a limit.',
      '4Mi',
      '1Ti',
    ),
  },
} as const satisfies Schema;

export interface BudgetWords {
  readonly chunking: { readonly size: string | number; readonly tiers: readonly TierWords[] };
  readonly memory: { readonly budget?: string | number };
}

/** A stored chunk that is read, one that is filled, one that is committed, and one to spare. */
export const CHUNKS_IN_BUDGET = 4;

/** CEL for the sizes of all chunks. */
export const ALL_SIZES = '([self.chunking.size] + self.chunking.tiers.map(t, t.chunkSize))';

/** Whether `room` holds so many of the largest chunks; words that are no size have a message of their own. */
export function holdsChunks(words: BudgetWords, room: string | number | undefined, times: number): boolean {
  const roomBytes = room === undefined ? undefined : parseQuantity(room);
  const sizes = [words.chunking.size, ...words.chunking.tiers.map((tier) => tier.chunkSize)];
  return roomBytes === undefined || sizes.every((value) => (parseQuantity(value) ?? 0) * times <= roomBytes);
}

export const budgetHoldsFourChunks = {
  rule:
    `!has(self.memory.budget) || !string(self.memory.budget).matches('${QUANTITY_PATTERN}') || ` +
    `${ALL_SIZES}.all(s, !string(s).matches('${QUANTITY_PATTERN}') || ${bytes('s')} <= ${bytes('self.memory.budget')} / ${CHUNKS_IN_BUDGET})`,
  message: 'must hold four of the largest chunks',
  fieldPath: '.memory.budget',
  reads: ['chunking', 'memory'],
  holds: (value: BudgetWords) => holdsChunks(value, value.memory.budget, CHUNKS_IN_BUDGET),
} as const satisfies Rule;

export const shutdown = {
  type: 'object',
  description: 'How a replica ends after SIGTERM.',
  default: {},
  properties: {
    propagationDelay: {
      ...duration(
        'Goes on accepting for so long. Default: what kube-proxy and load balancers need to notice.',
        '0s',
        '5m',
      ),
      default: '5s',
    },
    drainTimeout: {
      ...duration(
        'Then finishes running responses and fills for so long. Default: a few GiB to a slow client.',
        '0s',
        '1h',
      ),
      default: '60s',
    },
  },
} as const satisfies Schema;

export const logLevel = {
  ...choice(
    'Least level that is logged. Default: a line per change and per trouble, none per read.',
    'debug',
    'info',
    'warn',
    'error',
  ),
  default: 'info',
} as const satisfies Schema;

function ascending(field: string): string {
  const [one, next] = [`self[i].${field}`, `self[i+1].${field}`];
  return `!isQuantity(string(${one})) || !isQuantity(string(${next})) || ${bytes(one)} < ${bytes(next)}`;
}

/** Words that are no size have a message of their own and break no order. */
function isAscending(sizes: readonly (string | number)[]): boolean {
  const known = sizes.map(parseQuantity);
  return known.every((value, index) => {
    const next = known[index + 1];
    return value === undefined || next === undefined || value < next;
  });
}
