/**
 * The resolved, frozen configuration: durations in ms, sizes in bytes, defaults applied. `load.ts` builds it from the
 * file and the environment; no other module of the cache parses configuration.
 */
import type { ChunkTier } from '#cache/core/chunk.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Where to read S3 credentials. Files are read again when they change. Never contains a secret itself. */
export type CredentialsSource =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'env'; readonly accessKeyIdVar: string; readonly secretAccessKeyVar: string }
  | { readonly kind: 'default-chain' };

/** Where to read Azure credentials; an account key is a single string. */
export type AzureCredentialsSource =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'env'; readonly accountKeyVar: string }
  | { readonly kind: 'workload-identity' };

export interface AzureEndpoint {
  readonly account: string;
  /** Empty = the account's endpoint in the public cloud. */
  readonly endpoint: string;
  readonly credentials: AzureCredentialsSource;
  /** PEM bundle to trust in addition to the system's; empty = none. */
  readonly caFile: string;
}

export interface S3Endpoint {
  /** Empty = the AWS endpoint of the region. */
  readonly endpoint: string;
  readonly region: string;
  readonly forcePathStyle: boolean;
  readonly credentials: CredentialsSource;
  /** PEM bundle to trust in addition to the system's; empty = none. */
  readonly caFile: string;
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
  readonly listen: { readonly edge: ListenAddress; readonly peer: ListenAddress; readonly ops: ListenAddress };
  readonly origin: {
    readonly id: string;
    readonly identity: string;
    readonly type: 'S3' | 'AzureBlob';
    /** Present exactly when `type` is S3; `azureBlob` likewise. */
    readonly s3?: S3Endpoint;
    readonly azureBlob?: AzureEndpoint;
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
  readonly cacheStore: {
    readonly type: 'S3' | 'AzureBlob' | 'Filesystem';
    /** Present exactly when `type` is S3; the other kinds likewise. */
    readonly s3?: S3Endpoint & { readonly bucket: string };
    readonly azureBlob?: AzureEndpoint & { readonly container: string };
    readonly filesystem?: { readonly path: string };
    readonly verifyRanges: boolean;
  };
  readonly chunking: { readonly sizeBytes: number; readonly tiers: readonly ChunkTier[]; readonly readahead: number };
  readonly metadata: {
    readonly ttlMs: number;
    readonly negativeTtlMs: number;
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
    readonly explain: boolean;
  };
  readonly shutdown: { readonly propagationDelayMs: number; readonly drainTimeoutMs: number };
  readonly runtimeFile: string | undefined;
  readonly logLevel: LogLevel;
  /** First 8 hex digits of the SHA-256 of the file's bytes; the operator and `provenConfigs` identify configurations by it. */
  readonly hash: string;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
