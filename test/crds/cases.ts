/**
 * Invalid and valid OrcaCaches, and for invalid ones the path of the reported problem. The tests check both the validator
 * and a real API server against this table, so that the two cannot diverge.
 */

export interface Case {
  readonly name: string;
  /** Dotted path → value, applied to the sample. */
  readonly changes: Readonly<Record<string, unknown>>;
}

export interface BadCase extends Case {
  /** Path of the reported problem. */
  readonly path: string;
}

const tier = (minObjectSize: string | number, chunkSize: string | number) => ({ minObjectSize, chunkSize });
const bucket = (name: string, more: object = {}) => ({ name, ...more });

const AZURE_ORIGIN = { 'spec.origin.type': 'AzureBlob', 'spec.origin.s3': undefined };
const azureStore = (more: object) => ({
  'spec.cacheStore': { type: 'AzureBlob', azureBlob: { account: 'acme', container: 'chunks', ...more } },
});
const azureOrigin = (more: object) => ({ ...AZURE_ORIGIN, 'spec.origin.azureBlob': { account: 'acme', ...more } });
const BUCKET_URL = { bucket: 'acme-models-eu', baseUrl: 'https://files.example.org/models' };
const httpOrigin = (more: object) => ({
  'spec.origin.type': 'HTTP',
  'spec.origin.s3': undefined,
  'spec.origin.http': { urls: [BUCKET_URL], ...more },
});
const httpUrl = (baseUrl: string) => httpOrigin({ urls: [{ ...BUCKET_URL, baseUrl }] });
const noName = { name: 'Not_A_Name' };

/** A malformed value; the case is named after its path. */
function malformed(path: string, value: unknown, more: Readonly<Record<string, unknown>> = {}): BadCase {
  return { name: `a malformed ${path}`, changes: { ...more, [path]: value }, path };
}

const malformedCases: readonly BadCase[] = [
  ...['origin.s3', 'cacheStore.s3'].flatMap((side) =>
    ['credentialsSecretRef', 'caBundleRef'].map((member) => malformed(`spec.${side}.${member}.name`, 'Not_A_Name')),
  ),
  ...['credentialsSecretRef', 'caBundleRef'].flatMap((member) => [
    {
      name: `a malformed ${member} of an Azure origin`,
      changes: azureOrigin({ [member]: noName }),
      path: `spec.origin.azureBlob.${member}.name`,
    },
    {
      name: `a malformed ${member} of an Azure store`,
      changes: azureStore({ [member]: noName }),
      path: `spec.cacheStore.azureBlob.${member}.name`,
    },
  ]),
  ...['backoffInitial', 'backoffMax', 'maxTotalDuration'].map((member) =>
    malformed(`spec.origin.retry.${member}`, 'soon'),
  ),
  malformed('spec.cacheStore.capacity', '20TB'),
  malformed('spec.cacheStore.maxIdle', '30d'),
  malformed('spec.cacheStore.minAge', 'soon'),
  malformed('spec.cacheStore.sweepInterval', '1s'),
  malformed('spec.cacheStore.s3.endpoint', 'store:7070'),
  malformed('spec.cacheStore.s3.bucket', 'a/b'),
  {
    name: 'a malformed account of the store',
    changes: azureStore({ account: 'Acme' }),
    path: 'spec.cacheStore.azureBlob.account',
  },
  {
    name: 'an Azure endpoint of the store with a user',
    changes: azureStore({ endpoint: 'https://a:b@acme.example' }),
    path: 'spec.cacheStore.azureBlob.endpoint',
  },
  {
    name: 'a malformed name of a claim',
    changes: {
      'spec.cacheStore': { type: 'Filesystem', filesystem: { persistentVolumeClaim: { claimName: 'Not_A_Name' } } },
    },
    path: 'spec.cacheStore.filesystem.persistentVolumeClaim.claimName',
  },
  { name: 'an S3 store without s3', changes: { 'spec.cacheStore': { type: 'S3' } }, path: 'spec.cacheStore.s3' },
  {
    name: 'an Azure store without azureBlob',
    changes: { 'spec.cacheStore': { type: 'AzureBlob' } },
    path: 'spec.cacheStore.azureBlob',
  },
  {
    name: 'a tier with a malformed object size',
    changes: { 'spec.chunking.tiers': [tier('big', '64Mi')] },
    path: 'spec.chunking.tiers[0].minObjectSize',
  },
  malformed('spec.metadata.negativeTTL', '48h'),
  malformed('spec.metadata.staleWhileRevalidate', '25h'),
  malformed('spec.metadata.staleIfError', '-1h'),
  malformed('spec.memory.budget', '1.5Gi'),
  malformed('spec.edge.auth.secretRef.name', 'Not_A_Name', { 'spec.edge.auth.type': 'Bearer' }),
  malformed('spec.edge.tls.secretName', 'Not_A_Name'),
  malformed('spec.shutdown.propagationDelay', '10m'),
  {
    name: 'malformed resource requests',
    changes: { 'spec.pod.resources': { requests: { cpu: 'two' } } },
    path: 'spec.pod.resources.requests.cpu',
  },
  {
    name: 'requests above the limits',
    changes: { 'spec.pod.resources': { requests: { cpu: '2500m' }, limits: { cpu: 2 } } },
    path: 'spec.pod.resources.requests',
  },
  {
    name: 'a variable with a hyphen',
    changes: { 'spec.pod.env': [{ name: 'A-B', value: '1' }] },
    path: 'spec.pod.env[0].name',
  },
  {
    name: 'a toleration without a key or the operator Exists',
    changes: { 'spec.pod.tolerations': [{ effect: 'NoSchedule' }] },
    path: 'spec.pod.tolerations[0].operator',
  },
  {
    name: 'a toleration with Exists and a value',
    changes: { 'spec.pod.tolerations': [{ key: 'a', operator: 'Exists', value: 'b' }] },
    path: 'spec.pod.tolerations[0].value',
  },
  {
    name: 'a toleration with a time but not the effect NoExecute',
    changes: { 'spec.pod.tolerations': [{ key: 'a', effect: 'NoSchedule', tolerationSeconds: 5 }] },
    path: 'spec.pod.tolerations[0].tolerationSeconds',
  },
  {
    name: 'a minimum number of domains for a soft spread constraint',
    changes: {
      'spec.pod.topologySpreadConstraints': [
        { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway', minDomains: 2 },
      ],
    },
    path: 'spec.pod.topologySpreadConstraints[0].minDomains',
  },
];

export const badCases: readonly BadCase[] = [
  ...malformedCases,
  { name: 'a name that is not valid for a Service', changes: { 'metadata.name': 'models.eu' }, path: 'metadata.name' },
  { name: 'a name that begins with a digit', changes: { 'metadata.name': '1models' }, path: 'metadata.name' },
  { name: 'a name of 51 characters', changes: { 'metadata.name': 'm'.repeat(51) }, path: 'metadata.name' },
  { name: 'no origin', changes: { 'spec.origin': undefined }, path: 'spec.origin' },
  { name: 'no cachestore', changes: { 'spec.cacheStore': undefined }, path: 'spec.cacheStore' },
  { name: 'no origin id', changes: { 'spec.origin.id': undefined }, path: 'spec.origin.id' },
  { name: 'an origin id with ..', changes: { 'spec.origin.id': 'a..b' }, path: 'spec.origin.id' },
  { name: 'an origin id with a slash', changes: { 'spec.origin.id': 'a/b' }, path: 'spec.origin.id' },
  { name: 'an origin id of 64 characters', changes: { 'spec.origin.id': 'a'.repeat(64) }, path: 'spec.origin.id' },
  { name: 'an empty origin id', changes: { 'spec.origin.id': '' }, path: 'spec.origin.id' },
  {
    name: 'an unknown origin type',
    changes: { 'spec.origin.type': 'Gopher' },
    path: 'spec.origin.type',
  },
  {
    name: 'an anonymous S3 origin with credentials',
    changes: { 'spec.origin.s3.anonymous': true, 'spec.origin.s3.credentialsSecretRef': { name: 'keys' } },
    path: 'spec.origin.s3.credentialsSecretRef',
  },
  {
    name: 'an anonymous requester who pays',
    changes: {
      'spec.origin.s3.anonymous': true,
      'spec.origin.s3.requesterPays': true,
      'spec.origin.s3.credentialsSecretRef': undefined,
    },
    path: 'spec.origin.s3.requesterPays',
  },
  {
    name: 'an anonymous Azure origin with credentials',
    changes: azureOrigin({ anonymous: true, credentialsSecretRef: { name: 'key' } }),
    path: 'spec.origin.azureBlob.credentialsSecretRef',
  },
  {
    name: 'an Azure origin without azureBlob',
    changes: { 'spec.origin.type': 'AzureBlob', 'spec.origin.s3': undefined },
    path: 'spec.origin.azureBlob',
  },
  {
    name: 'an S3 origin with azureBlob too',
    changes: { 'spec.origin.azureBlob': { account: 'acme' } },
    path: 'spec.origin.azureBlob',
  },
  {
    name: 'a malformed account',
    changes: {
      'spec.origin.type': 'AzureBlob',
      'spec.origin.s3': undefined,
      'spec.origin.azureBlob': { account: 'Acme' },
    },
    path: 'spec.origin.azureBlob.account',
  },
  {
    name: 'an Azure endpoint with a query',
    changes: {
      'spec.origin.type': 'AzureBlob',
      'spec.origin.s3': undefined,
      'spec.origin.azureBlob': { account: 'acme', endpoint: 'https://acme.blob.core.windows.net/?sv=1' },
    },
    path: 'spec.origin.azureBlob.endpoint',
  },
  {
    name: 'a container with two hyphens in a row',
    changes: { 'spec.cacheStore': { type: 'AzureBlob', azureBlob: { account: 'acme', container: 'a--b' } } },
    path: 'spec.cacheStore.azureBlob.container',
  },
  {
    name: 'an HTTP origin without http',
    changes: { 'spec.origin.type': 'HTTP', 'spec.origin.s3': undefined },
    path: 'spec.origin.http',
  },
  { name: 'an HTTP origin without URLs', changes: httpOrigin({ urls: undefined }), path: 'spec.origin.http.urls' },
  {
    name: 'an HTTP origin with an empty list of URLs',
    changes: httpOrigin({ urls: [] }),
    path: 'spec.origin.http.urls',
  },
  {
    name: 'a base URL with a query',
    changes: httpUrl('https://files.example.org/models?token=1'),
    path: 'spec.origin.http.urls[0].baseUrl',
  },
  {
    name: 'a base URL with a user',
    changes: httpUrl('https://a:b@files.example.org/'),
    path: 'spec.origin.http.urls[0].baseUrl',
  },
  {
    name: 'a URL for a malformed bucket',
    changes: httpOrigin({ urls: [BUCKET_URL, { bucket: 'a/b', baseUrl: 'https://files.example.org/' }] }),
    path: 'spec.origin.http.urls[1].bucket',
  },
  {
    name: 'a bucket without a URL',
    changes: { ...httpOrigin({}), 'spec.origin.buckets': [bucket('models')] },
    path: 'spec.origin.http.urls',
  },
  {
    name: 'URLs on two servers',
    changes: httpOrigin({ urls: [BUCKET_URL, { bucket: 'more', baseUrl: 'https://other.example.org/' }] }),
    path: 'spec.origin.http.urls',
  },
  {
    name: 'URLs with two schemes',
    changes: httpOrigin({ urls: [BUCKET_URL, { bucket: 'more', baseUrl: 'http://files.example.org/' }] }),
    path: 'spec.origin.http.urls',
  },
  {
    name: 'HTTP credentials over http',
    changes: httpOrigin({
      urls: [{ ...BUCKET_URL, baseUrl: 'http://files.example.org/' }],
      credentialsSecretRef: { name: 'token' },
    }),
    path: 'spec.origin.http.urls',
  },
  {
    name: 'a redirect host with a scheme',
    changes: httpOrigin({ redirectHosts: ['https://cdn.example.org'] }),
    path: 'spec.origin.http.redirectHosts[0]',
  },
  {
    name: 'a redirect host with a wildcard in the middle',
    changes: httpOrigin({ redirectHosts: ['cdn.*.example.org'] }),
    path: 'spec.origin.http.redirectHosts[0]',
  },
  ...['credentialsSecretRef', 'caBundleRef'].map((member) => ({
    name: `a malformed ${member} of an HTTP origin`,
    changes: httpOrigin({ [member]: noName }),
    path: `spec.origin.http.${member}.name`,
  })),
  { name: 'an S3 origin without s3', changes: { 'spec.origin.s3': undefined }, path: 'spec.origin.s3' },
  {
    name: 'an endpoint without a scheme',
    changes: { 'spec.origin.s3.endpoint': 's3.example.org' },
    path: 'spec.origin.s3.endpoint',
  },
  {
    name: 'an endpoint with a user',
    changes: { 'spec.origin.s3.endpoint': 'https://a:b@s3.example.org' },
    path: 'spec.origin.s3.endpoint',
  },
  {
    name: 'an endpoint with a path',
    changes: { 'spec.origin.s3.endpoint': 'https://s3.example.org/b' },
    path: 'spec.origin.s3.endpoint',
  },
  {
    name: 'a credentials reference without a name',
    changes: { 'spec.origin.s3.credentialsSecretRef': {} },
    path: 'spec.origin.s3.credentialsSecretRef.name',
  },
  { name: 'no buckets', changes: { 'spec.origin.buckets': [] }, path: 'spec.origin.buckets' },
  {
    name: 'a bucket without a name',
    changes: { 'spec.origin.buckets': [{ prefix: 'x/' }] },
    path: 'spec.origin.buckets[0].name',
  },
  {
    name: 'a pattern without a beginning',
    changes: { 'spec.origin.buckets': [bucket('*')] },
    path: 'spec.origin.buckets[0].name',
  },
  {
    name: 'a pattern with its asterisk in the middle',
    changes: { 'spec.origin.buckets': [bucket('team-*-x')] },
    path: 'spec.origin.buckets[0].name',
  },
  {
    name: 'a pattern that stands for one bucket of the origin',
    changes: { 'spec.origin.buckets': [bucket('team-*', { originBucket: 'acme' })] },
    path: 'spec.origin.buckets[0].originBucket',
  },
  {
    name: 'a bucket that stands for several of the origin',
    changes: { 'spec.origin.buckets': [bucket('team', { originBucket: 'acme-*' })] },
    path: 'spec.origin.buckets[0].originBucket',
  },
  {
    name: 'more buckets than a ConfigMap holds',
    changes: { 'spec.origin.buckets': Array.from({ length: 1001 }, (_, index) => bucket(`bucket-${index}`)) },
    path: 'spec.origin.buckets',
  },
  {
    name: 'a pattern for an HTTP server',
    changes: { ...httpOrigin({}), 'spec.origin.buckets': [bucket('models-*')] },
    path: 'spec.origin.http.urls',
  },
  {
    name: 'two buckets with the same name',
    changes: { 'spec.origin.buckets': [bucket('models'), bucket('models')] },
    path: 'spec.origin.buckets[1]',
  },
  {
    name: 'a bucket name with capitals',
    changes: { 'spec.origin.buckets': [bucket('Models')] },
    path: 'spec.origin.buckets[0].name',
  },
  {
    name: 'a bucket name of two characters',
    changes: { 'spec.origin.buckets': [bucket('mo')] },
    path: 'spec.origin.buckets[0].name',
  },
  {
    name: 'an origin bucket with a slash',
    changes: { 'spec.origin.buckets': [bucket('models', { originBucket: 'a/b/c' })] },
    path: 'spec.origin.buckets[0].originBucket',
  },
  {
    name: 'a prefix of 513 characters',
    changes: { 'spec.origin.buckets': [bucket('models', { prefix: 'p'.repeat(513) })] },
    path: 'spec.origin.buckets[0].prefix',
  },
  {
    name: 'a metadata TTL in days',
    changes: { 'spec.origin.buckets': [bucket('models', { metadataTTL: '5d' })] },
    path: 'spec.origin.buckets[0].metadataTTL',
  },
  {
    name: 'a limit of 0 origin requests',
    changes: { 'spec.origin.targetGlobal': 0 },
    path: 'spec.origin.targetGlobal',
  },
  {
    name: 'a queue timeout of an hour',
    changes: { 'spec.origin.queueTimeout': '1h' },
    path: 'spec.origin.queueTimeout',
  },
  { name: 'no attempts', changes: { 'spec.origin.retry': { attempts: 0 } }, path: 'spec.origin.retry.attempts' },
  {
    name: 'an initial backoff above the maximum',
    changes: { 'spec.origin.retry': { backoffInitial: '5s', backoffMax: '1s' } },
    path: 'spec.origin.retry.backoffInitial',
  },
  {
    name: 'an unknown cachestore type',
    changes: { 'spec.cacheStore.type': 'Memory' },
    path: 'spec.cacheStore.type',
  },
  {
    name: 'an S3 store without a bucket',
    changes: { 'spec.cacheStore.s3.bucket': undefined },
    path: 'spec.cacheStore.s3.bucket',
  },
  {
    name: 'a filesystem store without filesystem',
    changes: { 'spec.cacheStore': { type: 'Filesystem' } },
    path: 'spec.cacheStore.filesystem',
  },
  {
    name: 'a store with two kinds',
    changes: { 'spec.cacheStore.filesystem': { persistentVolumeClaim: { claimName: 'chunks' } } },
    path: 'spec.cacheStore.filesystem',
  },
  { name: 'chunks below 1 MiB', changes: { 'spec.chunking.size': '512Ki' }, path: 'spec.chunking.size' },
  {
    name: 'chunks of a fractional number of bytes',
    changes: { 'spec.chunking.size': '8388608.5' },
    path: 'spec.chunking.size',
  },
  { name: 'chunks of a malformed size', changes: { 'spec.chunking.size': 'large' }, path: 'spec.chunking.size' },
  { name: 'chunks of a negative size', changes: { 'spec.chunking.size': -8388608 }, path: 'spec.chunking.size' },
  { name: 'chunks above 1 GiB', changes: { 'spec.chunking.size': '2Gi' }, path: 'spec.chunking.size' },
  {
    name: 'seven tiers',
    changes: { 'spec.chunking.tiers': [1, 2, 3, 4, 5, 6, 7].map((n) => tier(`${n}Gi`, `${n + 8}Mi`)) },
    path: 'spec.chunking.tiers',
  },
  {
    name: 'tiers in the wrong order',
    changes: { 'spec.chunking.tiers': [tier('10Gi', '16Mi'), tier('1Gi', '64Mi')] },
    path: 'spec.chunking.tiers',
  },
  {
    name: 'tiers of the same object size in two units',
    changes: { 'spec.chunking.tiers': [tier('1Gi', '16Mi'), tier(1073741824, '64Mi')] },
    path: 'spec.chunking.tiers',
  },
  {
    name: 'smaller chunks for larger objects',
    changes: { 'spec.chunking.tiers': [tier('1Gi', '64Mi'), tier('10Gi', '16Mi')] },
    path: 'spec.chunking.tiers',
  },
  {
    name: 'a tier without a chunk size',
    changes: { 'spec.chunking.tiers': [{ minObjectSize: '1Gi' }] },
    path: 'spec.chunking.tiers[0].chunkSize',
  },
  {
    name: 'a tier below 1 MiB',
    changes: { 'spec.chunking.tiers': [tier('1Gi', '512Ki')] },
    path: 'spec.chunking.tiers[0].chunkSize',
  },
  { name: 'a negative read-ahead', changes: { 'spec.chunking.readahead': -1 }, path: 'spec.chunking.readahead' },
  { name: 'a malformed TTL', changes: { 'spec.metadata.ttl': 'soon' }, path: 'spec.metadata.ttl' },
  {
    name: 'a TTL that overflows',
    changes: { 'spec.metadata.ttl': '99999h99999h99999h99999h99999h' },
    path: 'spec.metadata.ttl',
  },
  {
    name: 'a memory budget below three of the largest chunks',
    changes: { 'spec.memory.budget': '300Mi' },
    path: 'spec.memory.budget',
  },
  {
    name: 'a budget below four base chunks without tiers',
    changes: { 'spec.memory.budget': '16Mi', 'spec.chunking.tiers': [] },
    path: 'spec.memory.budget',
  },
  {
    name: 'a capacity below four of the largest chunks',
    changes: { 'spec.cacheStore.capacity': '511Mi' },
    path: 'spec.cacheStore.capacity',
  },
  {
    name: 'a capacity above what a number counts exactly',
    changes: { 'spec.cacheStore.capacity': '999999Ti' },
    path: 'spec.cacheStore.capacity',
  },
  {
    name: 'equal watermarks',
    changes: { 'spec.cacheStore.highWatermark': 85, 'spec.cacheStore.lowWatermark': 85 },
    path: 'spec.cacheStore.lowWatermark',
  },
  {
    name: 'a high watermark below the default of the low one',
    changes: { 'spec.cacheStore.highWatermark': 70 },
    path: 'spec.cacheStore.lowWatermark',
  },
  {
    name: 'a high watermark at which nothing else fits',
    changes: { 'spec.cacheStore.highWatermark': 100 },
    path: 'spec.cacheStore.highWatermark',
  },
  {
    name: 'a low watermark of nothing',
    changes: { 'spec.cacheStore.lowWatermark': 0 },
    path: 'spec.cacheStore.lowWatermark',
  },
  {
    name: 'more pinned than there is',
    changes: { 'spec.cacheStore.maxPinned': 101 },
    path: 'spec.cacheStore.maxPinned',
  },
  {
    name: 'a memory limit below eight of the largest chunks',
    changes: { 'spec.pod.resources': { limits: { memory: '512Mi' } } },
    path: 'spec.pod.resources.limits',
  },
  ...[0, 17, '1.5', 'many', 'AUTO'].map((workers) => malformed('spec.pod.workers', workers)),
  {
    name: 'a memory limit below eight of the largest chunks for each of three workers',
    changes: { 'spec.pod.workers': 3, 'spec.pod.resources': { limits: { memory: '3071Mi' } } },
    path: 'spec.pod.resources.limits',
  },
  {
    name: 'a memory budget below four of the largest chunks for each of three workers',
    changes: {
      'spec.pod.workers': '3',
      'spec.memory.budget': '1535Mi',
      'spec.pod.resources': { limits: { memory: '4Gi' } },
    },
    path: 'spec.memory.budget',
  },
  {
    name: 'three workers without a memory limit and without a budget',
    changes: { 'spec.pod.workers': 3, 'spec.pod.resources': { requests: { cpu: 3 } } },
    path: 'spec.memory.budget',
  },
  {
    name: 'a memory limit that leaves the workers too little beside half of it',
    changes: {
      'spec.pod.workers': 4,
      'spec.chunking.tiers': [],
      'spec.pod.resources': { limits: { memory: '3071Mi' } },
    },
    path: 'spec.pod.resources.limits',
  },
  {
    name: 'a memory limit that leaves the workers too little beside the budget',
    changes: {
      'spec.pod.workers': 2,
      'spec.memory.budget': '1281Mi',
      'spec.pod.resources': { limits: { memory: '2Gi' } },
    },
    path: 'spec.pod.resources.limits',
  },
  {
    name: 'an unknown auth type',
    changes: { 'spec.edge.auth.type': 'Basic' },
    path: 'spec.edge.auth.type',
  },
  { name: 'SigV4 without keys', changes: { 'spec.edge.auth.type': 'SigV4' }, path: 'spec.edge.auth.secretRef' },
  {
    name: 'keys with Anonymous',
    changes: { 'spec.edge.auth': { type: 'Anonymous', secretRef: { name: 'keys' } } },
    path: 'spec.edge.auth.secretRef',
  },
  { name: 'TLS without a Secret', changes: { 'spec.edge.tls': {} }, path: 'spec.edge.tls.secretName' },
  {
    name: 'a virtual-host domain with a port',
    changes: { 'spec.edge.virtualHostDomains': ['s3.example:80'] },
    path: 'spec.edge.virtualHostDomains[0]',
  },
  {
    name: 'a web origin with a path',
    changes: { 'spec.edge.corsOrigins': ['https://example.com/'] },
    path: 'spec.edge.corsOrigins[0]',
  },
  {
    name: 'a proxy with a password',
    changes: { 'spec.proxy': { httpsProxy: 'http://me:secret@proxy:3128' } },
    path: 'spec.proxy.httpsProxy',
  },
  {
    name: 'an unknown format of the access log',
    changes: { 'spec.edge.accessLog': { format: 'clf' } },
    path: 'spec.edge.accessLog.format',
  },
  {
    name: 'an access log of no request',
    changes: { 'spec.edge.accessLog': { sample: 0 } },
    path: 'spec.edge.accessLog.sample',
  },
  { name: 'a list TTL of a day', changes: { 'spec.edge.listTTL': '24h' }, path: 'spec.edge.listTTL' },
  {
    name: 'an IP family twice',
    changes: { 'spec.edge.service.ipFamilies': ['IPv6', 'IPv6'] },
    path: 'spec.edge.service.ipFamilies',
  },
  {
    name: 'an unknown IP family',
    changes: { 'spec.edge.service.ipFamilies': ['IPv5'] },
    path: 'spec.edge.service.ipFamilies[0]',
  },
  {
    name: 'an unknown IP family policy',
    changes: { 'spec.edge.service.ipFamilyPolicy': 'DualStack' },
    path: 'spec.edge.service.ipFamilyPolicy',
  },
  { name: 'a Service port of 0', changes: { 'spec.edge.service.port': 0 }, path: 'spec.edge.service.port' },
  {
    name: 'an unknown Service type',
    changes: { 'spec.edge.service.type': 'ExternalName' },
    path: 'spec.edge.service.type',
  },
  { name: 'an empty region', changes: { 'spec.edge.region': '' }, path: 'spec.edge.region' },
  { name: 'negative replicas', changes: { 'spec.replicas': -1 }, path: 'spec.replicas' },
  {
    name: 'an unknown anti-affinity',
    changes: { 'spec.availability.antiAffinity': 'Always' },
    path: 'spec.availability.antiAffinity',
  },
  {
    name: 'a drain timeout of a day',
    changes: { 'spec.shutdown.drainTimeout': '24h' },
    path: 'spec.shutdown.drainTimeout',
  },
  {
    name: 'malformed resource limits',
    changes: { 'spec.pod.resources': { limits: { cpu: 'two' } } },
    path: 'spec.pod.resources.limits.cpu',
  },
  {
    name: 'a duplicate variable',
    changes: {
      'spec.pod.env': [
        { name: 'A', value: '1' },
        { name: 'A', value: '2' },
      ],
    },
    path: 'spec.pod.env[1]',
  },
  {
    name: 'a variable with both value and valueFrom',
    changes: { 'spec.pod.env': [{ name: 'A', value: '1', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] },
    path: 'spec.pod.env[0]',
  },
  {
    name: 'a variable with an empty valueFrom',
    changes: { 'spec.pod.env': [{ name: 'A', valueFrom: {} }] },
    path: 'spec.pod.env[0].valueFrom',
  },
  {
    name: 'a price that is no number',
    changes: { 'spec.costs': { originEgressPerGB: '9 cents' } },
    path: 'spec.costs.originEgressPerGB',
  },
  {
    name: 'a negative price',
    changes: { 'spec.costs': { originPer1000Requests: -1 } },
    path: 'spec.costs.originPer1000Requests',
  },
  {
    name: 'a trace collector with a user',
    changes: { 'spec.telemetry': { otlpEndpoint: 'http://user@collector' } },
    path: 'spec.telemetry.otlpEndpoint',
  },
  {
    name: 'no trace of none',
    changes: { 'spec.telemetry': { otlpEndpoint: 'http://collector', sample: 0 } },
    path: 'spec.telemetry.sample',
  },
  { name: 'an unknown log level', changes: { 'spec.logLevel': 'trace' }, path: 'spec.logLevel' },
  { name: 'a string instead of a map', changes: { 'spec.chunking': 'off' }, path: 'spec.chunking' },
  { name: 'a number instead of a string', changes: { 'spec.origin.s3.region': 1 }, path: 'spec.origin.s3.region' },
];

/** Unknown fields, which must be rejected rather than ignored. */
export const unknownCases: readonly BadCase[] = [
  {
    name: 'rules of a network policy',
    changes: { 'spec.networkPolicy': { from: [] } },
    path: 'spec.networkPolicy.from',
  },
  { name: 'a misspelt key', changes: { 'spec.chunking.sise': '8Mi' }, path: 'spec.chunking.sise' },
];

export const goodCases: readonly Case[] = [
  { name: 'only the required fields', changes: {} },
  { name: 'plain bytes as a number', changes: { 'spec.chunking.size': 8388608 } },
  { name: 'plain bytes as a string', changes: { 'spec.chunking.size': '8388608' } },
  { name: 'decimal units', changes: { 'spec.memory.budget': '1G' } },
  {
    name: 'a public bucket',
    changes: { 'spec.origin.s3.anonymous': true, 'spec.origin.s3.credentialsSecretRef': undefined },
  },
  { name: 'a requester who pays', changes: { 'spec.origin.s3.requesterPays': true } },
  { name: 'a public container', changes: azureOrigin({ anonymous: true }) },
  {
    name: 'patterns of buckets',
    changes: { 'spec.origin.buckets': [bucket('team-*'), bucket('t*', { originBucket: 'Acme_T*' }), bucket('models')] },
  },
  {
    name: 'as many buckets as are allowed, with fields of the maximum length',
    changes: {
      'spec.origin.buckets': Array.from({ length: 1000 }, (_, index) =>
        bucket(`bucket-${index}-`.padEnd(63, 'b'), { originBucket: 'o'.repeat(255), prefix: 'p'.repeat(512) }),
      ),
    },
  },
  { name: 'no tiers', changes: { 'spec.chunking.tiers': [] } },
  {
    name: 'six tiers',
    changes: { 'spec.chunking.tiers': [1, 2, 3, 4, 5, 6].map((n) => tier(`${n}Gi`, `${n + 8}Mi`)) },
  },
  { name: 'a budget of exactly four of the largest chunks', changes: { 'spec.memory.budget': '512Mi' } },
  { name: 'a capacity of exactly four of the largest chunks', changes: { 'spec.cacheStore.capacity': '512Mi' } },
  {
    name: 'a small capacity with small chunks',
    changes: { 'spec.cacheStore.capacity': 4_194_304, 'spec.chunking': { size: '1Mi', tiers: [] } },
  },
  {
    name: 'every limit of the cachestore',
    changes: {
      'spec.cacheStore.capacity': '8000Ti',
      'spec.cacheStore.highWatermark': 99,
      'spec.cacheStore.lowWatermark': 98,
      'spec.cacheStore.maxIdle': '87600h',
      'spec.cacheStore.minAge': '0s',
      'spec.cacheStore.maxPinned': 0,
      'spec.cacheStore.sweepInterval': '10s',
    },
  },
  {
    name: 'a memory limit of exactly eight of the largest chunks',
    changes: { 'spec.pod.resources': { limits: { memory: '1Gi' } } },
  },
  {
    name: 'a small memory limit with an explicit budget',
    changes: { 'spec.pod.resources': { limits: { memory: '768Mi' } }, 'spec.memory.budget': '512Mi' },
  },
  { name: 'two workers with the default resources', changes: { 'spec.pod.workers': 2 } },
  { name: 'the number of workers as text', changes: { 'spec.pod.workers': '2' } },
  {
    name: 'as many workers as CPUs, with memory for fewer',
    changes: {
      'spec.pod.workers': 'auto',
      'spec.pod.resources': { requests: { cpu: '3500m' }, limits: { memory: '2Gi' } },
    },
  },
  {
    name: 'sixteen workers with exactly the memory that they need',
    changes: { 'spec.pod.workers': 16, 'spec.pod.resources': { limits: { memory: '16Gi' } } },
  },
  {
    name: 'workers with exactly the memory that they need beside a budget',
    changes: {
      'spec.pod.workers': 2,
      'spec.memory.budget': '1Gi',
      'spec.pod.resources': { limits: { memory: '1.75Gi' } },
    },
  },
  {
    name: 'two workers without a memory limit',
    changes: { 'spec.pod.workers': 2, 'spec.pod.resources': { requests: { cpu: 2 } } },
  },
  { name: 'resources without limits', changes: { 'spec.pod.resources': { requests: { cpu: 1 } } } },
  { name: 'mixed units in a duration', changes: { 'spec.metadata.ttl': '1h30m' } },
  {
    name: 'traces',
    changes: { 'spec.telemetry': { otlpEndpoint: 'https://collector.obs.svc:4318/otlp', sample: 1 } },
  },
  { name: 'prices', changes: { 'spec.costs': { originEgressPerGB: '0.09', originPer1000Requests: 1 } } },
  { name: 'a network policy', changes: { 'spec.networkPolicy': { enabled: true } } },
  { name: 'no replicas', changes: { 'spec.replicas': 0 } },
  { name: 'no read-ahead', changes: { 'spec.chunking.readahead': 0 } },
  {
    name: 'a shared volume',
    changes: {
      'spec.cacheStore': { type: 'Filesystem', filesystem: { persistentVolumeClaim: { claimName: 'chunks' } } },
    },
  },
  {
    name: 'an Azure origin',
    changes: {
      'spec.origin.type': 'AzureBlob',
      'spec.origin.s3': undefined,
      'spec.origin.azureBlob': {
        account: 'acme',
        endpoint: 'http://127.0.0.1:10000/acme',
        credentialsSecretRef: { name: 'origin-keys' },
        caBundleRef: { name: 'origin-ca' },
      },
    },
  },
  {
    name: 'an HTTP origin with every field',
    changes: {
      ...httpOrigin({
        urls: [BUCKET_URL, { bucket: 'more', baseUrl: 'https://files.example.org' }],
        redirectHosts: ['cdn.example.org', '*.example.net:8443'],
        allowLastModified: true,
        credentialsSecretRef: { name: 'token' },
        caBundleRef: { name: 'origin-ca' },
      }),
      'spec.origin.buckets': [bucket('models', { originBucket: 'acme-models-eu' }), bucket('more')],
    },
  },
  { name: 'an HTTP origin over http', changes: httpUrl('http://files.files.svc:8080/pub/%7Emodels/') },
  {
    name: 'HTTP credentials over http on loopback',
    changes: httpOrigin({
      urls: [{ ...BUCKET_URL, baseUrl: 'http://[::1]:8080' }],
      credentialsSecretRef: { name: 'token' },
    }),
  },
  {
    name: 'an Azure cachestore',
    changes: { 'spec.cacheStore': { type: 'AzureBlob', azureBlob: { account: 'acme', container: 'a-b' } } },
  },
  {
    name: 'an Azure cachestore with every field',
    changes: azureStore({
      endpoint: 'https://acme.example/acme',
      credentialsSecretRef: { name: 'keys' },
      caBundleRef: { name: 'ca' },
    }),
  },
  {
    name: 'every reference of S3, client keys, TLS and a proxy',
    changes: {
      'spec.origin.s3.caBundleRef': { name: 'origin-ca' },
      'spec.origin.buckets': [bucket('models', { metadataTTL: '10m' })],
      'spec.cacheStore.s3.credentialsSecretRef': { name: 'store-keys' },
      'spec.cacheStore.s3.caBundleRef': { name: 'store-ca' },
      'spec.edge.auth': { type: 'Bearer', secretRef: { name: 'keys' } },
      'spec.edge.tls': { secretName: 'tls' },
      'spec.edge.virtualHostDomains': ['s3.example'],
      'spec.edge.service.ipFamilyPolicy': 'PreferDualStack',
      'spec.edge.service.ipFamilies': ['IPv6', 'IPv4'],
      'spec.edge.corsOrigins': ['*'],
      'spec.proxy': { httpsProxy: 'http://proxy:3128' },
    },
  },
  {
    name: 'requests equal to the limits in another notation',
    changes: { 'spec.pod.resources': { requests: { cpu: '2000m' }, limits: { cpu: 2, memory: '2Gi' } } },
  },
  {
    name: 'a minimum number of domains',
    changes: {
      'spec.pod.topologySpreadConstraints': [
        { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', minDomains: 2 },
      ],
    },
  },
  { name: 'a toleration of everything', changes: { 'spec.pod.tolerations': [{ operator: 'Exists' }] } },
  { name: 'an S3 origin without an endpoint', changes: { 'spec.origin.s3': { region: 'eu-west-1' } } },
  { name: 'an IPv6 endpoint', changes: { 'spec.origin.s3.endpoint': 'http://[fd00::1]:7070' } },
  { name: 'an origin id with every allowed character', changes: { 'spec.origin.id': '0.a_B-c.' } },
  { name: 'a name of 50 characters', changes: { 'metadata.name': 'm'.repeat(50) } },
  {
    name: 'every pod option',
    changes: {
      'spec.pod': {
        image: 'registry.example.org/orcacache/cache@sha256:0123456789abcdef',
        imagePullPolicy: 'Always',
        imagePullSecrets: [{ name: 'pull' }],
        resources: { requests: { cpu: '500m', memory: '2Gi' }, limits: { memory: '4Gi', 'example.org/fast-net': 1 } },
        nodeSelector: { disk: 'ssd' },
        tolerations: [
          { key: 'cache', operator: 'Exists', effect: 'NoSchedule' },
          { key: 'x', effect: 'NoExecute', tolerationSeconds: 30 },
        ],
        priorityClassName: 'high',
        topologySpreadConstraints: [
          { maxSkew: 1, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway' },
        ],
        serviceAccountAnnotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::1:role/orca' },
        labels: { team: 'ml' },
        annotations: { note: 'x' },
        securityContext: {},
        containerSecurityContext: { readOnlyRootFilesystem: true, seLinuxOptions: { level: 's0' } },
        template: {
          metadata: { labels: { team: 'ml' }, annotations: { 'sidecar.istio.io/inject': 'false' } },
          spec: { schedulerName: 'mine', hostAliases: [{ ip: '10.0.0.1', hostnames: ['store'] }] },
        },
        env: [
          { name: 'HTTPS_PROXY', value: 'http://proxy:3128' },
          { name: 'T', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
        ],
      },
    },
  },
];
