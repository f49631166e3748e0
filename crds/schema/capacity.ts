/** Limits of the cachestore, shared by the resource's spec, the pod's config file and its runtime file. */
import { everyChunkSize, holdsChunks, largestChunkBytes, type BudgetFields } from './behavior.ts';
import { duration, integer, size, withDefault } from './field-builders.ts';
import type { Rule, Schema } from './json-schema.ts';

export const capacityFields = {
  capacity: size(
    'Maximum size of the chunks of this cache in the store. When they get close to it, the chunks that were not read for ' +
      'the longest time are evicted. Must hold at least four of the largest chunks. If omitted, the size of the file ' +
      'system for `Filesystem`, and no limit for other stores.',
    // Four chunks of the minimum size; and less than what a JavaScript number counts exactly.
    '4Mi',
    '8000Ti',
  ),
  highWatermark: withDefault(
    integer('Percentage of the capacity above which eviction begins.', 2, 99),
    90,
    'which leaves room for the commits that arrive while eviction begins',
  ),
  lowWatermark: withDefault(
    integer('Percentage of the capacity at which eviction ends. Must be below `highWatermark`.', 1, 98),
    80,
    'so that one eviction frees a tenth of the capacity',
  ),
  maxIdle: duration(
    'Chunks that no client has read for this long are evicted, even if there is room. If omitted, there is no such limit.',
    '1m',
    '87600h',
  ),
  minAge: withDefault(
    duration('Chunks younger than this are never evicted.', '0s', '720h'),
    '10m',
    'because a chunk that was just fetched is likely to be read again',
  ),
  maxPinned: withDefault(
    integer('Percentage of the capacity that pinned chunks may take.', 0, 100),
    50,
    'which leaves half of it for all other reads',
  ),
  sweepInterval: withDefault(
    duration(
      'How often the whole store is listed to measure it and to find what can be evicted. The requests are spread over ' +
        'the interval.',
      '10s',
      '24h',
    ),
    '1h',
    'which costs about 1000 list requests per hour for a million chunks',
  ),
} as const satisfies Readonly<Record<string, Schema>>;

interface WatermarkFields {
  readonly highWatermark: number;
  readonly lowWatermark: number;
}

export const LOW_BELOW_HIGH = 'must be below highWatermark, so that an eviction has an end; its default is 80';

export const lowBelowHigh = {
  rule: 'self.lowWatermark < self.highWatermark',
  message: LOW_BELOW_HIGH,
  fieldPath: '.lowWatermark',
  reads: ['highWatermark', 'lowWatermark'],
  holds: ({ highWatermark, lowWatermark }: WatermarkFields) => lowWatermark < highWatermark,
} as const satisfies Rule;

/** Fewer could not take a chunk while the others are read. */
export const CHUNKS_IN_CAPACITY = 4;

interface CapacityFields {
  readonly chunking: BudgetFields['chunking'];
  readonly cacheStore: { readonly capacity?: string | number };
}

/** The API server cannot compute the number; with the default tiers it is this one. */
const TOO_SMALL = 'must be at least four times the largest chunk size (512Mi by default)';

/** `largestBytes`: of the configured chunk sizes. */
export function capacityTooSmall(largestBytes: number): string {
  return `${TOO_SMALL}: ${CHUNKS_IN_CAPACITY * largestBytes} bytes`;
}

export const capacityHoldsFourChunks = {
  rule:
    `!has(self.cacheStore.capacity) || !isQuantity(string(self.cacheStore.capacity)) || ` +
    `[quantity(string(self.cacheStore.capacity))].all(most, ` +
    `${everyChunkSize(`most.sub(${CHUNKS_IN_CAPACITY} * q.asInteger()).compareTo(quantity('0')) >= 0`)})`,
  message: TOO_SMALL,
  fieldPath: '.cacheStore.capacity',
  reads: ['chunking', 'cacheStore'],
  holds: (value: CapacityFields) => holdsChunks(value, value.cacheStore.capacity, CHUNKS_IN_CAPACITY),
  explain: ({ chunking }: CapacityFields) => capacityTooSmall(largestChunkBytes(chunking)),
} as const satisfies Rule;
