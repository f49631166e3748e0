/** Arbitrary valid caches for property tests. */
import * as fc from 'fast-check';
import { formatDuration } from '#crds/duration.ts';
import type { OrcaCache } from '#crds/types.ts';
import { accepted } from './sample.ts';

const name = fc.stringMatching(/^[a-z]([a-z0-9-]{0,40}[a-z0-9])?$/);
const bucket = fc.stringMatching(/^[a-z0-9][a-z0-9.-]{1,30}[a-z0-9]$/);
const duration = (min: number, max: number) => fc.integer({ min, max }).map(formatDuration);
const host = fc.constantFrom('s3.example.org', 'store.storage.svc:7070', '10.0.0.1:9000', '[fd00::1]:7070');
const endpoint = fc
  .tuple(fc.constantFrom('http', 'https'), host, fc.constantFrom('', '/'))
  .map(([scheme, at, end]) => `${scheme}://${at}${end}`);
const reference = name.map((of) => ({ name: of }));
const optional = { requiredKeys: [] };

const s3 = {
  endpoint,
  region: fc.constantFrom('us-east-1', 'eu-west-1'),
  forcePathStyle: fc.boolean(),
  credentialsSecretRef: reference,
  caBundleRef: reference,
};

/** Only endpoints to which a pod would send a bearer token, because some of these caches have no Secret. */
const azure = {
  account: fc.stringMatching(/^[a-z0-9]{3,24}$/),
  endpoint: fc.constantFrom('https://acme.blob.example.org', 'http://127.0.0.1:10000/acme/'),
  credentialsSecretRef: reference,
  caBundleRef: reference,
};

/** Without `urls`, which depend on the buckets. */
const http = {
  redirectHosts: fc.uniqueArray(fc.constantFrom('cdn.example.org', '*.example.net', '10.0.0.1:8080')),
  allowLastModified: fc.boolean(),
  credentialsSecretRef: reference,
  caBundleRef: reference,
};

interface Bucket {
  readonly name: string;
  readonly originBucket?: string;
}

/** Adds the URL of every bucket to an HTTP origin. */
function withUrls<T extends object>(origin: T & { readonly buckets: readonly Bucket[] }): T {
  if (!('http' in origin)) return origin;
  const buckets = new Set(origin.buckets.map(({ name, originBucket = name }) => originBucket));
  const urls = [...buckets].map((bucket) => ({ bucket, baseUrl: `https://files.example.org/${bucket}` }));
  return { ...origin, http: { ...(origin.http as object), urls } };
}

const mebibytes = fc.integer({ min: 1, max: 64 });
const tiers = fc
  .tuple(
    fc.uniqueArray(fc.integer({ min: 1, max: 500 }), { maxLength: 6 }),
    fc.uniqueArray(mebibytes, { minLength: 6, maxLength: 6 }),
  )
  .map(([objects, chunks]) => {
    const sizes = chunks.toSorted((a, b) => a - b);
    return objects
      .toSorted((a, b) => a - b)
      .map((gibibytes, index) => ({ minObjectSize: `${gibibytes}Gi`, chunkSize: `${sizes[index] ?? 0}Mi` }));
  });

const limits = fc.record(
  {
    capacity: fc.constantFrom('512Mi', '20Ti', 10_000_000_000),
    highWatermark: fc.integer({ min: 81, max: 99 }),
    lowWatermark: fc.integer({ min: 1, max: 80 }),
    maxIdle: duration(60_000, 86_400_000),
    minAge: duration(0, 86_400_000),
    maxPinned: fc.integer({ min: 0, max: 100 }),
    sweepInterval: duration(10_000, 86_400_000),
  },
  optional,
);

function withLimits<T extends object>(store: fc.Arbitrary<T>): fc.Arbitrary<object> {
  return fc.tuple(store, limits).map(([kind, fields]) => ({ ...kind, ...fields }));
}

const spec = fc.record(
  {
    replicas: fc.integer({ min: 0, max: 10 }),
    origin: fc
      .record(
        {
          id: fc.stringMatching(/^[A-Za-z0-9]([.]?[A-Za-z0-9_-]){0,30}$/),
          identity: fc.string({ maxLength: 50 }),
          upstream: fc.oneof(
            fc.record({ type: fc.constant('S3'), s3: fc.record(s3, optional) }),
            fc.record({
              type: fc.constant('AzureBlob'),
              azureBlob: fc.record(azure, { requiredKeys: ['account'] }),
            }),
            fc.record({ type: fc.constant('HTTP'), http: fc.record(http, optional) }),
          ),
          buckets: fc.uniqueArray(
            fc.record(
              {
                name: bucket,
                originBucket: bucket,
                prefix: fc.string({ maxLength: 60 }),
                metadataTTL: duration(0, 3_600_000),
                immutable: fc.boolean(),
              },
              { requiredKeys: ['name'] },
            ),
            { minLength: 1, maxLength: 4, selector: (row) => row.name },
          ),
          targetGlobal: fc.integer({ min: 1, max: 1000 }),
          queueTimeout: duration(100, 60_000),
          retry: fc.record({ attempts: fc.integer({ min: 1, max: 10 }), backoffInitial: duration(1, 2000) }, optional),
        },
        { requiredKeys: ['id', 'upstream', 'buckets'] },
      )
      .map(({ upstream, ...fields }) => withUrls({ ...fields, ...upstream })),
    cacheStore: withLimits(
      fc.oneof(
        fc.record({ type: fc.constant('S3'), s3: fc.record({ ...s3, bucket }, { requiredKeys: ['bucket'] }) }),
        fc.record({
          type: fc.constant('AzureBlob'),
          azureBlob: fc.record(
            { ...azure, container: fc.stringMatching(/^[a-z0-9]{2}(-?[a-z0-9]){1,20}$/) },
            { requiredKeys: ['account', 'container'] },
          ),
        }),
        fc.record({
          type: fc.constant('Filesystem'),
          filesystem: name.map((claimName) => ({ persistentVolumeClaim: { claimName } })),
        }),
      ),
    ),
    chunking: fc.record(
      { size: mebibytes.map((size) => `${size}Mi`), tiers, readahead: fc.integer({ min: 0, max: 64 }) },
      optional,
    ),
    memory: fc.record({ budget: fc.constantFrom('512Mi', '1Gi', 2_147_483_648) }, optional),
    metadata: fc.record({ ttl: duration(0, 86_400_000), negativeTTL: duration(0, 86_400_000) }, optional),
    edge: fc.record(
      {
        ignoreClientCacheControl: fc.boolean(),
        explain: fc.boolean(),
        accessLog: fc.record(
          { format: fc.constantFrom('json', 's3'), sample: fc.integer({ min: 1, max: 1_000_000 }) },
          optional,
        ),
        maxConnections: fc.integer({ min: 1, max: 10_000 }),
        listTTL: duration(0, 3_600_000),
        virtualHostDomains: fc.constantFrom([], ['s3.example'], ['s3.example', 'cache.example']),
        corsOrigins: fc.constantFrom([], ['*'], ['https://example.com', 'http://localhost:8080']),
        auth: fc.oneof(
          fc.constant({ type: 'Anonymous' }),
          fc.record({ type: fc.constantFrom('Bearer', 'SigV4'), secretRef: fc.record({ name }) }),
        ),
        tls: fc.record({ secretName: name }),
      },
      optional,
    ),
    shutdown: fc.record({ propagationDelay: duration(0, 300_000), drainTimeout: duration(0, 3_600_000) }, optional),
    pod: fc.record({ workers: fc.constantFrom(1, 'auto') }, optional),
    logLevel: fc.constantFrom('debug', 'info', 'warn', 'error'),
  },
  { requiredKeys: ['origin', 'cacheStore'] },
);

export const arbitraryCache: fc.Arbitrary<OrcaCache> = fc.tuple(name, name, spec).map(([cache, namespace, fields]) =>
  accepted({
    apiVersion: 'orcacache.dev/v1alpha1',
    kind: 'OrcaCache',
    metadata: { name: cache, namespace },
    spec: fields,
  }),
);
