/** Fields that set the cache's behavior, shared by the resource's spec and the pod's config file. */
import { formatQuantity, parseQuantity } from '#crds/quantity.ts';
import { choice, duration, integer, size, withDefault } from './field-builders.ts';
import type { Rule, Schema } from './json-schema.ts';

/** Smaller chunks are mostly overhead. */
const MIN_CHUNK = '1Mi';
/** Four chunks must fit in memory, so larger ones would need more than 4 GiB. */
const MAX_CHUNK = '1Gi';
/** The API server limits the estimated cost of the rules of a list. */
const MAX_TIERS = 6;
const tierIndexes = Array.from({ length: MAX_TIERS - 1 }, (_, index) => index).join(', ');

export const chunkSize = withDefault(
  size('Size of a chunk, the unit in which data is fetched and stored.', MIN_CHUNK, MAX_CHUNK),
  '8Mi',
  'the usual part size of S3 transfers',
);

export const tiers = {
  type: 'array',
  description:
    'Larger chunks for larger objects, in ascending order; `[]` turns this off. Default: 64Mi from 1Gi and 128Mi ' +
    'from 10Gi, so that an object of 100 GiB has 800 chunks instead of 12,800.',
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
      minObjectSize: size('Size of the smallest object in this tier.', '1', '100Ti'),
      chunkSize: size('Chunk size of this tier.', MIN_CHUNK, MAX_CHUNK),
    },
  },
  'x-kubernetes-validations': [
    {
      rule: `[${tierIndexes}].all(i, i + 1 >= size(self) || ${ascending('minObjectSize')})`,
      message: 'must be in strictly ascending order of minObjectSize',
      holds: (list: readonly TierFields[]) => isAscending(list.map((tier) => tier.minObjectSize)),
    },
    {
      rule: `[${tierIndexes}].all(i, i + 1 >= size(self) || ${ascending('chunkSize')})`,
      message: 'must be in strictly ascending order of chunkSize',
      holds: (list: readonly TierFields[]) => isAscending(list.map((tier) => tier.chunkSize)),
    },
  ],
} as const satisfies Schema;

export interface TierFields {
  readonly minObjectSize: string | number;
  readonly chunkSize: string | number;
}

export const readahead = withDefault(
  integer('Number of chunks that are prefetched for one response; 0 turns read-ahead off.', 0, 64),
  8,
  'which is 64 MiB of base chunks, the most that one response may hold',
);

export const chunking = {
  type: 'object',
  description: 'How objects are split into chunks.',
  default: {},
  properties: { size: chunkSize, tiers: tiers, readahead: readahead },
} as const satisfies Schema;

export const metadata = {
  type: 'object',
  description: 'Cache of object metadata: ETag, size and headers.',
  default: {},
  properties: {
    ttl: withDefault(
      duration(
        'How long cached metadata is used before it is revalidated at the origin. With `0s` every read queries the ' +
          'origin, and sees every write that ended before it.',
        '0s',
        '720h',
      ),
      '5m',
      'which costs the origin one HEAD per object every 5 minutes for the whole cluster',
    ),
    negativeTTL: withDefault(
      duration('How long the answer “no such object” is cached; never longer than `ttl`.', '0s', '24h'),
      '60s',
      'because an upload often follows a failed read',
    ),
    staleWhileRevalidate: withDefault(
      duration(
        'How long after `ttl` metadata may still be used while it is revalidated in the background; never longer than ' +
          '`ttl` itself, so that `ttl: 0s` turns it off.',
        '0s',
        '24h',
      ),
      '30s',
      'so that objects that are read all the time never wait for the origin',
    ),
    staleIfError: withDefault(
      duration(
        'How long expired metadata and pages of lists may still be used while the origin does not respond.',
        '0s',
        '720h',
      ),
      '24h',
      'which covers an outage of a day',
    ),
    maxEntries: withDefault(
      integer('Maximum number of objects whose metadata one replica caches.', 1000, 10_000_000),
      100_000,
      'about 100 MiB at 1 KiB each',
    ),
  },
} as const satisfies Schema;

export const catalog = {
  type: 'object',
  description: 'In-memory index of chunks known to be in the cachestore.',
  default: {},
  properties: {
    maxEntries: withDefault(
      integer('Maximum number of chunks in the index of one replica.', 1000, 10_000_000),
      100_000,
      'which covers 800 GiB in chunks of 8 MiB and takes about 20 MiB of memory',
    ),
  },
} as const satisfies Schema;

export const memory = {
  type: 'object',
  description: 'Memory of one replica.',
  default: {},
  properties: {
    budget: size(
      'Upper bound for all chunk data in memory: streams, fills, pending commits and the memory tier. Must hold at ' +
        'least four of the largest chunks. If omitted, half of the container’s memory limit, or 1Gi without a limit.',
      '4Mi',
      '1Ti',
    ),
  },
} as const satisfies Schema;

export interface BudgetFields {
  readonly chunking: { readonly size: string | number; readonly tiers: readonly TierFields[] };
  readonly memory: { readonly budget?: string | number };
}

/** One chunk being read from the store, one being filled, one being committed, and one spare. */
export const CHUNKS_IN_BUDGET = 4;

const BUDGET_TOO_SMALL = 'must be at least four times the largest chunk size';

/** `largestBytes` is the largest of the configured chunk sizes. The API server cannot compute the number. */
export function budgetTooSmall(largestBytes: number): string {
  return `${BUDGET_TOO_SMALL}: ${formatQuantity(CHUNKS_IN_BUDGET * largestBytes)}`;
}

/**
 * CEL for a rule of all chunk sizes: the condition is CEL for one of them, the quantity `q`; malformed sizes pass. Before
 * Kubernetes 1.34 the API server estimates costs as if each text were 3 MB long. So they are not mapped to a list, and
 * each is converted once: a list of one item is a variable.
 */
export function everyChunkSize(condition: string): string {
  const one = (cel: string): string =>
    `[string(${cel})].all(s, !isQuantity(s) || [quantity(s)].all(q, !q.isInteger() || ${condition}))`;
  return `(${one('self.chunking.size')} && self.chunking.tiers.all(t, ${one('t.chunkSize')}))`;
}

/** Whether `capacity` holds `count` of the largest chunks. Malformed sizes pass here: another rule reports them. */
export function holdsChunks(
  fields: Pick<BudgetFields, 'chunking'>,
  capacity: string | number | undefined,
  count: number,
): boolean {
  const capacityBytes = capacity === undefined ? undefined : parseQuantity(capacity);
  const sizes = [fields.chunking.size, ...fields.chunking.tiers.map((tier) => tier.chunkSize)];
  return capacityBytes === undefined || sizes.every((value) => (parseQuantity(value) ?? 0) * count <= capacityBytes);
}

export function largestChunkBytes({ size, tiers }: BudgetFields['chunking']): number {
  return Math.max(...[size, ...tiers.map(({ chunkSize }) => chunkSize)].map((value) => parseQuantity(value) ?? 0));
}

/** A rule for the pod's file only. In the resource the workers count too: `memoryRules`. */
export const budgetHoldsFourChunks = {
  message: BUDGET_TOO_SMALL,
  fieldPath: '.memory.budget',
  reads: ['chunking', 'memory'],
  holds: (value: BudgetFields) => holdsChunks(value, value.memory.budget, CHUNKS_IN_BUDGET),
  explain: ({ chunking }: BudgetFields) => budgetTooSmall(largestChunkBytes(chunking)),
} as const satisfies Rule;

export const shutdown = {
  type: 'object',
  description: 'Graceful shutdown of a replica after SIGTERM.',
  default: {},
  properties: {
    propagationDelay: withDefault(
      duration('How long the replica keeps accepting connections after SIGTERM.', '0s', '5m'),
      '5s',
      'the time that kube-proxy and load balancers need to stop sending new ones',
    ),
    drainTimeout: withDefault(
      duration('How long running responses and fills may then take to finish.', '0s', '1h'),
      '60s',
      'enough for a few GiB to a slow client',
    ),
  },
} as const satisfies Schema;

export const logLevel = withDefault(
  choice('Lowest level that is logged. debug logs each request with what it did.', 'debug', 'info', 'warn', 'error'),
  'info',
  'which logs changes and failures but no individual reads',
);

function ascending(field: string): string {
  return (
    `[string(self[i].${field})].all(one, [string(self[i+1].${field})].all(next, !isQuantity(one) || ` +
    '!isQuantity(next) || quantity(one).isLessThan(quantity(next))))'
  );
}

/** Malformed sizes are skipped: another rule reports them. */
function isAscending(sizes: readonly (string | number)[]): boolean {
  const known = sizes.map(parseQuantity);
  return known.every((value, index) => {
    const next = known[index + 1];
    return value === undefined || next === undefined || value < next;
  });
}
