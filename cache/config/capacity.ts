/** Resolves the limits of the cachestore, from the config file and from the runtime file. */
import type { CapacitySettings } from '#cache/core/capacity/settings.ts';
import { parseDuration } from '#crds/duration.ts';
import { parseQuantity } from '#crds/quantity.ts';
import { capacityTooSmall, CHUNKS_IN_CAPACITY, LOW_BELOW_HIGH } from '#crds/schema/capacity.ts';
import type { PodFile, RuntimeFile } from '#crds/schema/pod-file.ts';
import type { Problem } from '#crds/validate.ts';
import type { Config } from './config.ts';

/** The schema guarantees that all values are valid. */
export function resolveCapacity(file: PodFile['cacheStore']): CapacitySettings {
  return {
    capacityBytes: bytes(file.capacity),
    highWatermark: file.highWatermark,
    lowWatermark: file.lowWatermark,
    maxIdleMs: ms(file.maxIdle),
    minAgeMs: ms(file.minAge) ?? Number.NaN,
    maxPinned: file.maxPinned,
    sweepIntervalMs: ms(file.sweepInterval) ?? Number.NaN,
  };
}

/**
 * Picks each setting of T from the runtime file: the value at `path`, `last` if it is invalid, and `configured` if it is
 * missing.
 */
export type Picker = <T>(
  last: T,
  configured: T,
) => <K extends keyof T>(key: K, path: string, read: () => T[K] | undefined) => T[K];

/** The limits of the runtime file. If two values contradict each other, both settings keep their last valid value. */
export function reloadCapacity(
  file: RuntimeFile['cacheStore'],
  pick: Picker,
  last: CapacitySettings,
  config: Config,
  problems: Problem[],
): CapacitySettings {
  const limit = pick(last, config.cacheStore.limits);
  const next: CapacitySettings = {
    capacityBytes: limit('capacityBytes', 'cacheStore.capacity', () => bytes(file?.capacity)),
    highWatermark: limit('highWatermark', 'cacheStore.highWatermark', () => file?.highWatermark),
    lowWatermark: limit('lowWatermark', 'cacheStore.lowWatermark', () => file?.lowWatermark),
    maxIdleMs: limit('maxIdleMs', 'cacheStore.maxIdle', () => ms(file?.maxIdle)),
    minAgeMs: limit('minAgeMs', 'cacheStore.minAge', () => ms(file?.minAge)),
    maxPinned: limit('maxPinned', 'cacheStore.maxPinned', () => file?.maxPinned),
    sweepIntervalMs: limit('sweepIntervalMs', 'cacheStore.sweepInterval', () => ms(file?.sweepInterval)),
  };
  return withoutContradictions(next, last, config, problems);
}

/** The schema of the runtime file cannot compare a key with one that only the config file has. */
function withoutContradictions(
  next: CapacitySettings,
  last: CapacitySettings,
  { chunking }: Config,
  problems: Problem[],
): CapacitySettings {
  let { capacityBytes, lowWatermark, highWatermark } = next;
  if (lowWatermark >= highWatermark) {
    problems.push({ path: ['cacheStore', 'lowWatermark'], message: LOW_BELOW_HIGH });
    ({ lowWatermark, highWatermark } = last);
  }
  const largestBytes = Math.max(chunking.sizeBytes, ...chunking.tiers.map(({ chunkSizeBytes }) => chunkSizeBytes));
  if (capacityBytes !== undefined && capacityBytes < CHUNKS_IN_CAPACITY * largestBytes) {
    problems.push({ path: ['cacheStore', 'capacity'], message: capacityTooSmall(largestBytes) });
    ({ capacityBytes } = last);
  }
  return { ...next, capacityBytes, lowWatermark, highWatermark };
}

function ms(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}

function bytes(value: string | number | undefined): number | undefined {
  return value === undefined ? undefined : parseQuantity(value);
}
