import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkConfig, describeConfig } from '#cache/config/check.ts';
import { loadConfig, parseConfig } from '#cache/config/load.ts';
import type { ConfigError } from '#cache/config/load.ts';
import { parseAddress } from '#cache/config/listen-address.ts';
import { DEFAULT_CAPACITY } from '#cache/core/capacity/settings.ts';
import { parseDuration } from '#crds/duration.ts';
import { parseQuantity } from '#crds/quantity.ts';
import { facts, GIB, minimalFileWith, problemsOf } from './minimal-file.ts';

function tempFile(content: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'orca-config-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'config.yaml');
  writeFileSync(path, content);
  return path;
}

const tier = (minObjectSize: string, chunkSize: string) => ({ minObjectSize, chunkSize });

interface Row {
  readonly name: string;
  readonly changes: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly problem: string;
}

const rows: readonly Row[] = [
  { name: 'no origin', changes: { origin: undefined }, problem: 'origin: is required' },
  { name: 'no cachestore', changes: { cacheStore: undefined }, problem: 'cacheStore: is required' },
  {
    name: 'a misspelt key',
    changes: { 'chunking.sise': '8Mi' },
    problem: 'chunking.sise: is not a known key; did you mean size?',
  },
  {
    name: 'a key in other letters',
    changes: { 'origin.s3.ForcePathStyle': true },
    problem: 'origin.s3.ForcePathStyle: is not a known key; did you mean forcePathStyle?',
  },
  {
    name: 'an unknown key',
    changes: { 'chunking.compression': 9 },
    problem: 'chunking.compression: is not a known key',
  },
  {
    name: 'a field of the resource that a pod file does not have',
    changes: { replicas: 3 },
    problem: 'replicas: is not a known key',
  },
  {
    name: 'a Secret reference in place of a directory',
    changes: { 'origin.s3.credentialsSecretRef': { name: 'x' } },
    problem: 'origin.s3.credentialsSecretRef: is not a known key',
  },
  {
    name: 'an S3 origin without s3',
    changes: { 'origin.s3': undefined },
    problem: 'origin.s3: must be set exactly when type is S3',
  },
  {
    name: "an origin id that contains '..'",
    changes: { 'origin.id': 'a..b' },
    problem:
      "origin.id: must begin with a letter or digit and contain only letters, digits, '.', '_' and '-', without two '.' in a row",
  },
  {
    name: 'a cachestore of two types',
    changes: { 'cacheStore.s3': { bucket: 'chunks' } },
    problem: 'cacheStore.s3: must be set exactly when type is S3',
  },
  {
    name: 'a duplicate bucket',
    changes: { 'origin.buckets': [{ name: 'models' }, { name: 'models' }] },
    problem: 'origin.buckets[1]: is a duplicate (same name)',
  },
  {
    name: 'an invalid second bucket',
    changes: { 'origin.buckets': [{ name: 'models' }, { name: 'M' }] },
    problem:
      "origin.buckets[1].name: must be a bucket name: 3 to 63 characters of a-z, 0-9, '.' and '-', beginning and ending with a letter or digit; or the beginning of bucket names, followed by '*'",
  },
  { name: 'a duration without a unit', changes: { 'metadata.ttl': 300 }, problem: 'metadata.ttl: must be a string' },
  {
    name: 'a duration in days',
    changes: { 'metadata.ttl': '5d' },
    problem: 'metadata.ttl: must be a duration from 0s to 720h, such as 500ms, 5s or 1h30m',
  },
  {
    name: 'a malformed size',
    changes: { 'chunking.size': '8MB' },
    problem: 'chunking.size: must be a size from 1Mi to 1Gi, such as 8Mi, 1Gi or 8388608',
  },
  {
    name: 'tiers out of order',
    changes: { 'chunking.tiers': [tier('2Gi', '8Mi'), tier('1Gi', '16Mi')] },
    problem: 'chunking.tiers: must be in strictly ascending order of minObjectSize',
  },
  {
    name: 'a budget of only three of the largest chunks',
    changes: { 'memory.budget': '384Mi' },
    problem: 'memory.budget: must be at least four times the largest chunk size: 512Mi',
  },
  {
    name: 'a capacity of only three of the largest chunks',
    changes: { 'cacheStore.capacity': '384Mi' },
    problem:
      'cacheStore.capacity: must be at least four times the largest chunk size (512Mi by default): 536870912 bytes',
  },
  {
    name: 'a low watermark above the high one',
    changes: { 'cacheStore.highWatermark': 70 },
    problem: 'cacheStore.lowWatermark: must be below highWatermark, so that an eviction has an end; its default is 80',
  },
  {
    name: 'a listener without a port',
    changes: { 'listen.edge': '0.0.0.0' },
    problem: 'listen.edge: must be host:port, with an IPv6 address in brackets',
  },
  {
    name: 'a port above 65535',
    changes: { 'listen.edge': '0.0.0.0:65536' },
    problem: 'listen.edge: must have a port of at most 65535',
  },
  {
    name: 'two listeners with the same address',
    changes: { 'listen.ops': '0.0.0.0:8443' },
    problem: 'listen.ops: must differ from listen.edge',
  },
  {
    name: 'two listeners on all addresses, one of them of IPv4 only',
    changes: { 'listen.ops': '0.0.0.0:8443', 'listen.edge': '[::]:8443' },
    problem: 'listen.ops: must differ from listen.edge',
  },
  {
    name: 'EndpointSlices without a Service',
    changes: { peers: { type: 'EndpointSlices', auth: { directory: '/k' } } },
    env: { POD_IP: '10.0.0.1' },
    problem: 'peers.endpointSlices: must be set exactly when type is EndpointSlices',
  },
  {
    name: 'EndpointSlices without a cluster key',
    changes: { peers: { type: 'EndpointSlices', endpointSlices: { namespace: 'a', service: 'b' } } },
    env: { POD_IP: '10.0.0.1' },
    problem: 'peers.auth: is required when type is EndpointSlices, because other pods can reach the peer port',
  },
  {
    name: 'EndpointSlices without the address of this replica',
    changes: {
      peers: { type: 'EndpointSlices', endpointSlices: { namespace: 'a', service: 'b' }, auth: { directory: '/k' } },
    },
    problem: 'peers.self: is required if the environment variable POD_IP is not set',
  },
  {
    name: 'a replica address that is not an IP address',
    changes: {
      peers: { type: 'EndpointSlices', endpointSlices: { namespace: 'a', service: 'b' }, auth: { directory: '/k' } },
    },
    env: { POD_IP: 'pod-1' },
    problem: 'peers.self: must be an IP address, not pod-1',
  },
  {
    name: 'a static list with EndpointSlices',
    changes: {
      peers: {
        type: 'EndpointSlices',
        endpointSlices: { namespace: 'a', service: 'b' },
        static: { peers: ['a:1'] },
        auth: { directory: '/k' },
      },
    },
    env: { POD_IP: '10.0.0.1' },
    problem: 'peers.static: must not be set when type is EndpointSlices',
  },
  {
    name: 'a static list without this replica',
    changes: { 'peers.static.peers': ['10.0.0.2:8444'] },
    env: { POD_IP: '10.0.0.1' },
    problem: 'peers.static.peers: must contain this replica, which is 10.0.0.1:8444 (peers.self)',
  },
  {
    name: 'a replica address without a port',
    changes: { 'peers.self': '10.0.0.1' },
    problem: 'peers.self: must be host:port, as in the peer list of the other replicas',
  },
  {
    name: 'an access key in the environment without its secret',
    changes: {},
    env: { ORCA_ORIGIN_ACCESS_KEY_ID: 'AK' },
    problem: 'ORCA_ORIGIN_SECRET_ACCESS_KEY: must be set when ORCA_ORIGIN_ACCESS_KEY_ID is set',
  },
  {
    name: 'an access key in the environment of an anonymous origin',
    changes: { 'origin.s3.anonymous': true },
    env: { ORCA_ORIGIN_ACCESS_KEY_ID: 'AK' },
    problem: 'ORCA_ORIGIN_ACCESS_KEY_ID: must not be set if origin.s3.anonymous is true',
  },
  {
    name: 'an unknown log level in the environment',
    changes: {},
    env: { ORCA_LOG_LEVEL: 'loud' },
    problem: 'ORCA_LOG_LEVEL: must be one of debug, info, warn, error',
  },
];

describe('a config file', () => {
  test.for(rows)('with $name is rejected with one problem', ({ changes, env = {}, problem }) => {
    expect(problemsOf(minimalFileWith(changes), { ...facts, env })).toEqual([problem]);
  });

  test('is rejected with all problems at once, each with its line', () => {
    const text = `origin:
  id: models..eu
  type: S3
  typ: S3
  buckets:
    - name: models
    - nam: data
cacheStore: {type: Filesystem, filesystem: {path: /x}}
metadata:
  ttl: 5d
memory: {budget: 16Mi}
`;
    const problems = (() => {
      try {
        parseConfig(text, facts);
        return [];
      } catch (error) {
        return (error as ConfigError).problems;
      }
    })();
    expect(problems.map((line) => `${line.split(':')[0]} ${/\(line \d+\)$/.exec(line)?.[0] ?? ''}`).toSorted()).toEqual(
      [
        'memory.budget (line 11)',
        'metadata.ttl (line 10)',
        'origin.buckets[1].nam (line 7)',
        'origin.buckets[1].name (line 7)',
        'origin.id (line 2)',
        'origin.s3 (line 2)',
        'origin.typ (line 4)',
      ],
    );
  });

  test('is rejected with the problems of the environment and of the file together', () => {
    const text = minimalFileWith({ 'metadata.ttl': '5d', 'listen.edge': 'x:99999' });
    expect(problemsOf(text, { ...facts, env: { ORCA_LOG_LEVEL: 'loud' } })).toHaveLength(3);
  });

  test.for([
    ['that is not YAML', 'origin: [', /^line \d+: /],
    ['with a duplicate key', 'origin: {}\norigin: {}\n', /^line 2: Map keys must be unique/],
    ['with two documents', 'a: 1\n---\nb: 2\n', /^line \d+: .*document/],
    ['that is empty', '', /^must be a map$/],
    ['that is a list', '- a\n', /^must be a map$/],
    [
      'with exponentially expanding aliases',
      `a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [${'*a,'.repeat(9)}*a]\nc: &c [${'*b,'.repeat(9)}*b]\nd: [${'*c,'.repeat(9)}*c]\n`,
      /alias/i,
    ],
  ] as const)('%s is rejected with one problem', ([, text, expected]) => {
    const problems = problemsOf(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(expected);
  });

  test('with every key is resolved to a frozen Config', async () => {
    const config = parseConfig(readFileSync('test/golden/config/full.yaml', 'utf8'), facts);
    await expect(`${JSON.stringify(config, null, 2)}\n`).toMatchFileSnapshot('../../golden/config/full.json');
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.origin.buckets[0])).toBe(true);
  });

  test('without limits of the cachestore has those that engines have by default', () => {
    expect(parseConfig(minimalFileWith({}), facts).cacheStore.limits).toEqual(DEFAULT_CAPACITY);
  });

  test('with only the required keys is resolved with the documented defaults', () => {
    const config = parseConfig(minimalFileWith({}), facts);
    const documented = new Map(
      readFileSync('docs/reference/configuration.md', 'utf8')
        .split('\n')
        .map((line) => /^\| \*{0,2}`([^`]+)`\*{0,2} \| `(.*)` \|/.exec(line))
        .filter((match) => match !== null)
        .map(([, key = '', value = '']) => [key.replace(/^spec[.]/, ''), value] as const),
    );
    const documentedDefault = (key: string): string => documented.get(key) ?? `${key} is not documented`;
    const ms = (key: string): number | undefined => parseDuration(documentedDefault(key));
    const bytes = (key: string): number | undefined => parseQuantity(documentedDefault(key));
    const bool = (key: string): boolean => documentedDefault(key) === 'true';
    const text = (key: string): string => (documentedDefault(key) === '""' ? '' : documentedDefault(key));
    const port = (key: string) => parseAddress(documentedDefault(key));
    expect(config).toEqual({
      workers: Number(documentedDefault('workers')),
      logFormat: documentedDefault('logFormat'),
      listen: { edge: port('listen.edge'), peer: port('listen.peer'), ops: port('listen.ops') },
      origin: {
        id: 'models-eu',
        identity: text('origin.identity'),
        type: 'S3',
        s3: {
          endpoint: 'http://127.0.0.1:7070',
          region: documentedDefault('origin.s3.region'),
          forcePathStyle: bool('origin.s3.forcePathStyle'),
          credentials: { kind: 'default-chain' },
          caFile: text('origin.s3.caFile'),
          requesterPays: bool('origin.s3.requesterPays'),
        },
        buckets: [
          {
            name: 'models',
            originBucket: 'models',
            prefix: text('origin.buckets[].prefix'),
            metadataTtlMs: ms('metadata.ttl'),
            immutable: bool('origin.buckets[].immutable'),
          },
        ],
        targetGlobal: Number(documentedDefault('origin.targetGlobal')),
        queueTimeoutMs: ms('origin.queueTimeout'),
        retry: {
          attempts: Number(documentedDefault('origin.retry.attempts')),
          backoffInitialMs: ms('origin.retry.backoffInitial'),
          backoffMaxMs: ms('origin.retry.backoffMax'),
          maxTotalDurationMs: ms('origin.retry.maxTotalDuration'),
        },
      },
      cacheStore: {
        type: 'Filesystem',
        filesystem: { path: '/var/lib/orca' },
        verifyRanges: bool('cacheStore.verifyRanges'),
        limits: {
          capacityBytes: undefined,
          highWatermark: Number(documentedDefault('cacheStore.highWatermark')),
          lowWatermark: Number(documentedDefault('cacheStore.lowWatermark')),
          maxIdleMs: undefined,
          minAgeMs: ms('cacheStore.minAge'),
          maxPinned: Number(documentedDefault('cacheStore.maxPinned')),
          sweepIntervalMs: ms('cacheStore.sweepInterval'),
        },
      },
      chunking: {
        sizeBytes: bytes('chunking.size'),
        tiers: [...documentedDefault('chunking.tiers').matchAll(/minObjectSize: (\w+), chunkSize: (\w+)/g)].map(
          ([, min = '', size = '']) => ({
            minObjectSizeBytes: parseQuantity(min),
            chunkSizeBytes: parseQuantity(size),
          }),
        ),
        readahead: Number(documentedDefault('chunking.readahead')),
      },
      metadata: {
        ttlMs: ms('metadata.ttl'),
        negativeTtlMs: ms('metadata.negativeTTL'),
        staleWhileRevalidateMs: ms('metadata.staleWhileRevalidate'),
        staleIfErrorMs: ms('metadata.staleIfError'),
        maxEntries: Number(documentedDefault('metadata.maxEntries')),
      },
      catalog: { maxEntries: Number(documentedDefault('catalog.maxEntries')) },
      memory: { budgetBytes: GIB },
      peers: {
        type: documentedDefault('peers.type'),
        peers: ['127.0.0.1:8444'],
        self: '127.0.0.1:8444',
        authDirectory: undefined,
      },
      edge: {
        auth: { type: documentedDefault('edge.auth.type') },
        tlsDirectory: undefined,
        region: documentedDefault('edge.region'),
        virtualHostDomains: [],
        corsOrigins: [],
        listTtlMs: ms('edge.listTTL'),
        maxConnections: Number(documentedDefault('edge.maxConnections')),
        accessLog: undefined,
        ignoreClientCacheControl: bool('edge.ignoreClientCacheControl'),
        explain: bool('edge.explain'),
      },
      shutdown: { propagationDelayMs: ms('shutdown.propagationDelay'), drainTimeoutMs: ms('shutdown.drainTimeout') },
      runtimeFile: undefined,
      logLevel: documentedDefault('logLevel'),
      hash: config.hash,
    });
  });

  test('keeps the prefix of a bucket unchanged', () => {
    const text = minimalFileWith({ 'origin.buckets': [{ name: 'models', prefix: ' //é%2F/../' }] });
    expect(parseConfig(text, facts).origin.buckets[0]?.prefix).toBe(' //é%2F/../');
  });

  test('applies the common TTL to a bucket without its own', () => {
    const text = minimalFileWith({
      'metadata.ttl': '7s',
      'origin.buckets': [{ name: 'one' }, { name: 'two', metadataTTL: '0s' }],
    });
    expect(parseConfig(text, facts).origin.buckets.map((bucket) => bucket.metadataTtlMs)).toEqual([7000, 0]);
  });

  test('without peers.self takes the replica address from POD_IP', () => {
    const peers = {
      type: 'EndpointSlices',
      endpointSlices: { namespace: 'ml', service: 'models-peers' },
      auth: { directory: '/k' },
    };
    const config = parseConfig(minimalFileWith({ peers }), { ...facts, env: { POD_IP: 'fd00::7' } });
    expect(config.peers).toEqual({
      type: 'EndpointSlices',
      namespace: 'ml',
      service: 'models-peers',
      self: 'fd00::7',
      authDirectory: '/k',
    });
  });

  test('without peers resolves to this replica as the only peer, at POD_IP, in brackets for IPv6', () => {
    const config = parseConfig(minimalFileWith({}), { ...facts, env: { POD_IP: 'fd00::7' } });
    expect(config.peers).toMatchObject({ peers: ['[fd00::7]:8444'], self: '[fd00::7]:8444' });
  });

  test('is overridden by the log level of the environment', () => {
    const text = minimalFileWith({ logLevel: 'warn' });
    expect(parseConfig(text, { ...facts, env: { ORCA_LOG_LEVEL: 'debug' } }).logLevel).toBe('debug');
    expect(parseConfig(text, { ...facts, env: { ORCA_LOG_LEVEL: '' } }).logLevel).toBe('warn');
  });

  test('prefers a credentials directory to the environment, and the environment to the default chain', () => {
    const env = { ORCA_ORIGIN_ACCESS_KEY_ID: 'AK', ORCA_ORIGIN_SECRET_ACCESS_KEY: 'hidden' };
    const of = (text: string, from: Readonly<Record<string, string>>) =>
      parseConfig(text, { ...facts, env: from }).origin.s3?.credentials;
    expect(of(minimalFileWith({ 'origin.s3.credentials': { directory: '/c' } }), env)).toEqual({
      kind: 'directory',
      path: '/c',
    });
    expect(of(minimalFileWith({}), env)).toEqual({
      kind: 'env',
      accessKeyIdVar: 'ORCA_ORIGIN_ACCESS_KEY_ID',
      secretAccessKeyVar: 'ORCA_ORIGIN_SECRET_ACCESS_KEY',
    });
    expect(of(minimalFileWith({}), {})).toEqual({ kind: 'default-chain' });
  });

  test('takes an Azure key from a directory or the environment, otherwise the default chain', () => {
    const changes = {
      'origin.type': 'AzureBlob',
      'origin.s3': undefined,
      'origin.azureBlob': { account: 'acme' },
      cacheStore: { type: 'AzureBlob', azureBlob: { account: 'near', container: 'chunks', caFile: '/ca.crt' } },
    };
    const env = { ORCA_ORIGIN_ACCOUNT_KEY: 'aGlkZGVu', ORCA_CACHESTORE_ACCOUNT_KEY: '' };
    const { origin, cacheStore } = parseConfig(minimalFileWith(changes), { ...facts, env });
    expect(origin.azureBlob).toEqual({
      account: 'acme',
      endpoint: '',
      credentials: { kind: 'env', accountKeyVar: 'ORCA_ORIGIN_ACCOUNT_KEY' },
      caFile: '',
    });
    expect(origin.s3).toBeUndefined();
    expect(cacheStore.azureBlob).toEqual({
      account: 'near',
      endpoint: '',
      container: 'chunks',
      credentials: { kind: 'default-chain' },
      caFile: '/ca.crt',
    });
    const directory = { ...changes, 'origin.azureBlob': { account: 'acme', credentials: { directory: '/c' } } };
    expect(parseConfig(minimalFileWith(directory), { ...facts, env }).origin.azureBlob?.credentials).toEqual({
      kind: 'directory',
      path: '/c',
    });
  });

  test('resolves the URLs of an HTTP origin, each with one slash at its end', () => {
    const changes = {
      'origin.type': 'HTTP',
      'origin.s3': undefined,
      'origin.http': {
        urls: [
          { bucket: 'models', baseUrl: 'https://files.example.org' },
          { bucket: 'more', baseUrl: 'https://files.example.org/more/' },
        ],
        credentials: { directory: '/c' },
      },
    };
    expect(parseConfig(minimalFileWith(changes), facts).origin.http).toEqual({
      urls: { models: 'https://files.example.org/', more: 'https://files.example.org/more/' },
      redirectHosts: [],
      allowLastModified: false,
      credentialsDirectory: '/c',
      caFile: undefined,
    });
  });

  test('with the default chain is rejected for an http endpoint unless it is loopback', () => {
    const over = (endpoint: string) =>
      problemsOf(
        minimalFileWith({
          'origin.type': 'AzureBlob',
          'origin.s3': undefined,
          'origin.azureBlob': { account: 'acme', endpoint },
        }),
      );
    expect(over('http://blob.storage.svc:10000/acme')).toEqual([
      'origin.azureBlob.endpoint: must be https if no account key is configured: a bearer token is not sent over http to http://blob.storage.svc:10000',
    ]);
    expect(over('https://blob.storage.svc/acme/')).toEqual([]);
    expect(over('http://127.0.0.1:10000/acme')).toEqual([]);
  });

  test.for([
    ['half of the limit', 2 * GIB, GIB],
    ['1 GiB without a limit', 0, GIB],
    ['1 GiB if the limit exceeds the memory of the machine', 2 ** 63, GIB],
  ] as const)('without a budget resolves to a budget of %s', ([, constrainedBytes, budgetBytes]) => {
    const config = parseConfig(minimalFileWith({}), { env: {}, memory: { constrainedBytes, totalBytes: 64 * GIB } });
    expect(config.memory.budgetBytes).toBe(budgetBytes);
  });

  test('that is a whole OrcaCache resource is recognized', () => {
    expect(problemsOf('{ apiVersion: orcacache.dev/v1alpha1, kind: OrcaCache, spec: {} }')).toEqual([
      expect.stringMatching(/^this is an OrcaCache resource: .*A pod reads the fields of its spec/),
    ]);
    expect(problemsOf('{ apiVersion: v1, kind: ConfigMap }')).toEqual([
      'this is a resource of the kind ConfigMap, not the config file of a cache pod',
    ]);
  });

  test('whose chunks do not fit into half of the memory limit is rejected with the sizes', () => {
    const memory = { constrainedBytes: GIB / 2, totalBytes: 64 * GIB };
    expect(problemsOf(minimalFileWith({}), { env: {}, memory })).toEqual([
      'memory.budget: must be at least four times the largest chunk size: 512Mi, but is 256Mi (half of the memory limit of 512Mi)',
    ]);
    expect(problemsOf(minimalFileWith({ 'memory.budget': '512Mi' }), { env: {}, memory })).toEqual([]);
  });

  test('is loaded from disk with a hash of its bytes', () => {
    const path = tempFile(minimalFileWith({}));
    const config = loadConfig(path, {});
    expect(config).toMatchObject({
      origin: { id: 'models-eu' },
      hash: expect.stringMatching(/^[0-9a-f]{8}$/) as string,
    });
    writeFileSync(path, `${minimalFileWith({})}\n# a comment\n`);
    expect(loadConfig(path, {}).hash).not.toBe(config.hash);
  });

  test('that does not exist is rejected with the cause', () => {
    expect(() => loadConfig('/does/not/exist.yaml', {})).toThrow(
      expect.objectContaining({
        name: 'ConfigError',
        problems: [expect.stringContaining('/does/not/exist.yaml') as string],
        cause: expect.objectContaining({ code: 'ENOENT' }) as Error,
      }) as Error,
    );
  });
});

describe('check-config', () => {
  test('prints the resolved configuration with readable units', () => {
    const { exitCode, output } = checkConfig(tempFile(minimalFileWith({ 'metadata.ttl': '90s' })), {});
    expect(exitCode).toBe(0);
    expect(output).toContain('ttl: 1m30s');
    expect(output).toContain('size: 8Mi');
    expect(output).toContain('budget: ');
  });

  test('prints one line per problem of an invalid file and fails', () => {
    const result = checkConfig(tempFile(minimalFileWith({ 'metadata.ttl': '5d', 'origin.id': '' })), {});
    expect(result).toEqual({
      exitCode: 1,
      output: expect.stringMatching(
        /^[^\n]*origin\.id: [^\n]*\n[^\n]*metadata\.ttl: [^\n]*\n$|^[^\n]*metadata\.ttl: [^\n]*\n[^\n]*origin\.id: [^\n]*\n$/,
      ) as string,
    });
  });

  test('prints where secrets are read from, but no secret', () => {
    const env = { ORCA_ORIGIN_ACCESS_KEY_ID: 'AKIAHIDDEN', ORCA_ORIGIN_SECRET_ACCESS_KEY: 'very-hidden' };
    const output = describeConfig(parseConfig(minimalFileWith({}), { ...facts, env }));
    expect(output).toContain('ORCA_ORIGIN_SECRET_ACCESS_KEY');
    expect(output.toLowerCase()).not.toContain('hidden');
  });
});
