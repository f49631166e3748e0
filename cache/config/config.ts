/**
 * The resolved, frozen configuration: durations in ms, sizes in bytes, defaults applied. `load.ts` builds it from the
 * file and the environment; no other module of the cache parses configuration.
 */
import type { CapacitySettings } from '#cache/core/capacity/settings.ts';
import type { ChunkTier } from '#cache/core/chunk.ts';
import type { OriginSettings } from '#cache/origins/registry.ts';
import type { StoreSettings } from '#cache/stores/registry.ts';
import type { OriginType, StoreType } from '#crds/kinds/registry.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** One entry of the bucket allow-list: the name that clients use, and the bucket and prefix at the origin. */
export interface BucketMapping {
  readonly name: string;
  readonly originBucket: string;
  readonly prefix: string;
  readonly metadataTtlMs: number;
  readonly immutable: boolean;
}

export interface Config {
  /** Processes that share the edge port. 1 = this process alone. */
  readonly workers: number;
  readonly listen: { readonly edge: ListenAddress; readonly peer: ListenAddress; readonly ops: ListenAddress };
  readonly origin: OriginSettings & {
    readonly id: string;
    readonly identity: string;
    readonly type: OriginType;
    readonly buckets: readonly BucketMapping[];
    /** Maximum number of concurrent origin requests of the whole cluster. */
    readonly targetGlobal: number;
    readonly queueTimeoutMs: number;
    readonly retry: {
      readonly attempts: number;
      readonly backoffInitialMs: number;
      readonly backoffMaxMs: number;
      readonly maxTotalDurationMs: number;
    };
  };
  readonly cacheStore: StoreSettings & {
    readonly type: StoreType;
    readonly verifyRanges: boolean;
    readonly limits: CapacitySettings;
  };
  readonly chunking: { readonly sizeBytes: number; readonly tiers: readonly ChunkTier[]; readonly readahead: number };
  readonly metadata: {
    readonly ttlMs: number;
    readonly negativeTtlMs: number;
    readonly staleWhileRevalidateMs: number;
    readonly staleIfErrorMs: number;
    readonly maxEntries: number;
  };
  readonly catalog: { readonly maxEntries: number };
  readonly memory: { readonly budgetBytes: number };
  readonly peers:
    | {
        readonly type: 'Static';
        readonly peers: readonly string[];
        readonly self: string;
        readonly authDirectory: string | undefined;
      }
    | {
        readonly type: 'EndpointSlices';
        readonly namespace: string;
        readonly service: string;
        /** An IP address; the port is that of the peer listener. */
        readonly self: string;
        readonly authDirectory: string;
      };
  readonly edge: {
    readonly auth: { readonly type: 'Anonymous' } | { readonly type: 'Bearer' | 'SigV4'; readonly directory: string };
    /** Undefined = plain HTTP. */
    readonly tlsDirectory: string | undefined;
    readonly region: string;
    readonly virtualHostDomains: readonly string[];
    readonly corsOrigins: readonly string[];
    readonly listTtlMs: number;
    readonly maxConnections: number;
    /** Undefined = no access log. `sample`: one request of this many is logged. */
    readonly accessLog: { readonly format: 'json' | 's3'; readonly sample: number } | undefined;
    readonly ignoreClientCacheControl: boolean;
    readonly explain: boolean;
  };
  /** Undefined = no OrcaPrewarms are walked. */
  readonly prewarms: { readonly namespace: string; readonly cache: string } | undefined;
  readonly shutdown: { readonly propagationDelayMs: number; readonly drainTimeoutMs: number };
  /** Undefined = no prices. In dollars. */
  readonly costs: { readonly egressPerGB: number; readonly per1000Requests: number } | undefined;
  /** Undefined = no spans are exported. `sample`: one new trace of this many is recorded. */
  readonly telemetry: { readonly otlpEndpoint: string; readonly sample: number } | undefined;
  readonly runtimeFile: string | undefined;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** First 8 hex digits of the SHA-256 of the file's bytes; the operator and `provenConfigs` identify configurations by it. */
  readonly hash: string;
}

export type LogFormat = 'auto' | 'json' | 'pretty';
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
