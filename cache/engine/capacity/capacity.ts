/**
 * The bounded cachestore: what was read is remembered by chunk, the owners of shards count and evict, and the accountant
 * adds up and decides what goes. docs/internals/engine.md describes it.
 */
import { minuteOf } from '#cache/core/capacity/chunk-key.ts';
import { decodeReport } from '#cache/core/capacity/report-codec.ts';
import type { CapacitySettings } from '#cache/core/capacity/settings.ts';
import { ageClasses, type StoreAccount } from '#cache/core/capacity/store-account.ts';
import type { UsageAnswer, UsageReport } from '#cache/core/capacity/usage-codec.ts';
import { Histogram } from '#cache/core/capacity/histogram.ts';
import type { ChunkPath } from '#cache/core/chunk.ts';
import type { Clock, Observer, PeerClient, PeerView } from '#cache/engine/ports.ts';
import type { GuardedStore } from '#cache/engine/upstream/guarded.ts';

export interface CapacityOptions {
  readonly originId: string;
  readonly store: GuardedStore;
  readonly peers: PeerView;
  readonly peerClient: Pick<PeerClient, 'reads' | 'usage'>;
  readonly clock: Clock;
  readonly observer: Observer;
  /** In [0, 1). */
  readonly random: () => number;
  /** May change at run time. */
  readonly settings: () => CapacitySettings;
}

export interface Capacity {
  /** A client reads the chunk. `bucket`: the origin's name. */
  touch(path: ChunkPath, bucket: string): void;
  /** This replica has committed the chunk. */
  committed(path: ChunkPath, sizeBytes: number): void;
  /** A newer version of the object is known. `versionHex`: the 64 hex digits of the old version's chunks. */
  superseded(versionHex: string): void;
  /** `POST /internal/reads` of another replica. Throws `bad_request`. */
  receiveReads(report: Uint8Array): void;
  /** `POST /internal/usage` of another replica. */
  receiveUsage(report: UsageReport): UsageAnswer;
  /** As the accountant last told it; what this replica itself knows before that. */
  account(): StoreAccount;
  /** Background work, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** At shutdown, after `run` has ended: the last report, and the ledgers that are not written yet. */
  flush(signal: AbortSignal): Promise<void>;
}

export function openCapacity(options: CapacityOptions): Capacity {
  const account = (): StoreAccount => ({
    state: 'counting',
    usedBytes: 0,
    chunks: 0,
    pinnedBytes: 0,
    capacityBytes: options.settings().capacityBytes,
    foreignBytes: 0,
    byBucket: new Map(),
    byAge: ageClasses(new Histogram(), minuteOf(options.clock.date())),
    oldestReadMinute: undefined,
    lastSweepMs: undefined,
    oldestSweepMs: undefined,
    coveredShards: 0,
  });
  return {
    touch() {},
    committed() {},
    superseded() {},
    receiveReads(report) {
      decodeReport(report);
    },
    receiveUsage: () => ({ account: account(), urgent: false }),
    account,
    run: async () => {},
    flush: async () => {},
  };
}
