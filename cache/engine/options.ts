/** What an engine is opened with: its settings, the drivers behind its ports, and the values that may change. */
import type { CapacitySettings } from '#cache/core/capacity/settings.ts';
import type { ChunkTier } from '#cache/core/chunk.ts';
import type { RetrySettings } from '#cache/engine/upstream/retry.ts';
import type { BucketRule } from '#cache/engine/buckets/bucket-rule.ts';
import type { ChunkStore, Clock, Observer, Origin, PeerClient, PeerView } from './ports.ts';

/** Plain values; the configuration has this shape too. */
export interface EngineSettings {
  readonly origin: {
    readonly id: string;
    readonly buckets: readonly BucketRule[];
    readonly queueTimeoutMs: number;
    /** Distinguishes this origin from another with the same id; undefined = no other cache uses this cachestore. */
    readonly fingerprint?: string;
    readonly retry: RetrySettings;
  };
  readonly cacheStore: { readonly verifyRanges: boolean };
  readonly chunking: { readonly sizeBytes: number; readonly tiers: readonly ChunkTier[] };
  readonly metadata: {
    readonly negativeTtlMs: number;
    readonly staleWhileRevalidateMs: number;
    readonly staleIfErrorMs: number;
    readonly maxEntries: number;
  };
  readonly catalog: { readonly maxEntries: number };
  readonly memory: { readonly budgetBytes: number };
  /** How long a page of a list is kept; 0 = not at all. */
  readonly edge: { readonly listTtlMs: number };
}

export interface EngineOptions {
  readonly settings: EngineSettings;
  readonly origin: Origin;
  readonly store: ChunkStore;
  readonly peers: PeerView;
  readonly peerClient: PeerClient;
  readonly observer: Observer;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** These may change at run time. */
  readonly targetGlobal: () => number;
  readonly readahead: () => number;
  /** Undefined = the cachestore is neither counted nor limited. */
  readonly capacity?: (() => CapacitySettings) | undefined;
  /** For tests: overwrites memory as it is released. */
  readonly poisonMemory?: boolean;
}
