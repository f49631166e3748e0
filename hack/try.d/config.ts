/** The config file of one replica: what the operator would write, for one machine. */
import { createHash } from 'node:crypto';
import type { TriedOrigin } from './options.ts';

export interface ReplicaPorts {
  readonly edge: number;
  readonly peer: number;
  readonly ops: number;
}

export interface ReplicaPlan {
  readonly origin: TriedOrigin;
  /** The sample origin's. */
  readonly sampleEndpoint: string | undefined;
  readonly storeFolder: string;
  /** One item for each replica. */
  readonly ports: readonly ReplicaPorts[];
}

/** The name of the only bucket, for clients. */
export function bucketOf(origin: TriedOrigin): string {
  if (origin.kind === 's3') return origin.bucket;
  return origin.kind === 'sample' ? 'sample' : 'web';
}

/** The config of the replica with this index, to be written as YAML. */
export function configOf({ origin, sampleEndpoint, storeFolder, ports }: ReplicaPlan, index: number): object {
  const own = ports[index];
  if (own === undefined) throw new RangeError(`no replica ${index}`);
  const at = (port: number): string => `127.0.0.1:${port}`;
  return {
    listen: { edge: at(own.edge), peer: at(own.peer), ops: at(own.ops) },
    origin: { ...upstreamOf(origin, sampleEndpoint), id: idOf(origin) },
    cacheStore: { type: 'Filesystem', filesystem: { path: storeFolder } },
    // Larger chunks for larger objects would need a larger budget, which is a burden for a laptop.
    chunking: { tiers: [] },
    memory: { budget: '256Mi' },
    // A reader sees a file that was changed at the origin after a few seconds.
    metadata: { ttl: '5s' },
    peers: {
      type: 'Static',
      self: at(own.peer),
      static: { peers: ports.map(({ peer }) => at(peer)) },
    },
    shutdown: { propagationDelay: '0s', drainTimeout: '2s' },
  };
}

function upstreamOf(origin: TriedOrigin, sampleEndpoint: string | undefined): object {
  const bucket = { name: bucketOf(origin) };
  if (origin.kind === 'http')
    return {
      type: 'HTTP',
      http: { urls: [{ bucket: bucket.name, baseUrl: origin.baseUrl }], allowLastModified: true },
      buckets: [bucket],
    };
  if (origin.kind === 'sample')
    return {
      type: 'S3',
      s3: { endpoint: sampleEndpoint, forcePathStyle: true, anonymous: true },
      buckets: [bucket],
    };
  const { prefix, region, endpoint, anonymous } = origin;
  return {
    type: 'S3',
    // Servers other than AWS rarely have a host name for each bucket.
    s3: { region, ...(endpoint !== undefined && { endpoint, forcePathStyle: true }), ...(anonymous && { anonymous }) },
    buckets: [{ ...bucket, ...(prefix !== '' && { prefix }) }],
  };
}

/** In a folder that is kept, chunks of different origins must not be mixed up. */
function idOf(origin: TriedOrigin): string {
  if (origin.kind === 'sample') return 'sample';
  const text = origin.kind === 's3' ? `${origin.endpoint ?? 'aws'} ${origin.region}` : origin.baseUrl;
  return `${origin.kind}-${createHash('sha256').update(text).digest('hex').slice(0, 12)}`;
}
