import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkConfig, describeConfig } from '#cache/config/check.ts';
import { loadConfig, parseConfig } from '#cache/config/load.ts';
import type { ConfigError } from '#cache/config/load.ts';
import { parseDuration } from '#crds/duration.ts';
import { parseQuantity } from '#crds/quantity.ts';
import { facts, GIB, leastWith, mistakesOf } from './least.ts';

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
  readonly says: string;
}

const rows: readonly Row[] = [
  { name: 'no origin', changes: { origin: undefined }, says: 'origin: is required' },
  { name: 'no cachestore', changes: { cacheStore: undefined }, says: 'cacheStore: is required' },
  { name: 'a key that does not exist', changes: { 'chunking.sise': '8Mi' }, says: 'chunking.sise: is not a known key' },
  {
    name: 'a key of the resource that pods do not have',
    changes: { replicas: 3 },
    says: 'replicas: is not a known key',
  },
  {
    name: 'a Secret where the pod needs a directory',
    changes: { 'origin.s3.credentialsSecretRef': { name: 'x' } },
    says: 'origin.s3.credentialsSecretRef: is not a known key',
  },
  {
    name: 'an S3 origin without s3',
    changes: { 'origin.s3': undefined },
    says: 'origin.s3: must be set exactly when type is S3',
  },
  {
    name: 'an origin id with ..',
    changes: { 'origin.id': 'a..b' },
    says: "origin.id: must begin with a letter or digit and contain only letters, digits, '.', '_' and '-', without two '.' in a row",
  },
  {
    name: 'a store of two kinds',
    changes: { 'cacheStore.s3': { bucket: 'chunks' } },
    says: 'cacheStore.s3: must be set exactly when type is S3',
  },
  {
    name: 'a bucket twice',
    changes: { 'origin.buckets': [{ name: 'models' }, { name: 'models' }] },
    says: 'origin.buckets[1]: is a duplicate (same name)',
  },
  {
    name: 'a bad second bucket',
    changes: { 'origin.buckets': [{ name: 'models' }, { name: 'M' }] },
    says: "origin.buckets[1].name: must be a bucket name: 3 to 63 characters of a-z, 0-9, '.' and '-', beginning and ending with a letter or digit",
  },
  { name: 'a duration without a unit', changes: { 'metadata.ttl': 300 }, says: 'metadata.ttl: must be a string' },
  {
    name: 'a duration in days',
    changes: { 'metadata.ttl': '5d' },
    says: 'metadata.ttl: must be a duration from 0s to 720h, such as 500ms, 5s or 1h30m',
  },
  {
    name: 'a size that is none',
    changes: { 'chunking.size': '8MB' },
    says: 'chunking.size: must be a size from 1Mi to 1Gi, such as 8Mi, 1Gi or 8388608',
  },
  {
    name: 'tiers out of order',
    changes: { 'chunking.tiers': [tier('2Gi', '8Mi'), tier('1Gi', '16Mi')] },
    says: 'chunking.tiers: must be in strictly ascending order of minObjectSize',
  },
  {
    name: 'a budget of three of the largest chunks',
    changes: { 'memory.budget': '384Mi' },
    says: 'memory.budget: must be at least four times the largest chunk size',
  },
  {
    name: 'a listener without a port',
    changes: { 'listen.edge': '0.0.0.0' },
    says: 'listen.edge: must be host:port, with an IPv6 address in brackets',
  },
  {
    name: 'a port that does not exist',
    changes: { 'listen.edge': '0.0.0.0:65536' },
    says: 'listen.edge: must have a port of at most 65535',
  },
  {
    name: 'two listeners at one address',
    changes: { 'listen.ops': '0.0.0.0:8443' },
    says: 'listen.ops: is the address of listen.edge too',
  },
  {
    name: 'EndpointSlices without saying whose',
    changes: { peers: { type: 'EndpointSlices', auth: { directory: '/k' } } },
    env: { POD_IP: '10.0.0.1' },
    says: 'peers.endpointSlices: must be set exactly when type is EndpointSlices',
  },
  {
    name: 'EndpointSlices without a key',
    changes: { peers: { type: 'EndpointSlices', endpointSlices: { namespace: 'a', service: 'b' } } },
    env: { POD_IP: '10.0.0.1' },
    says: 'peers.auth: is required when type is EndpointSlices, because other pods can reach the peer port',
  },
  {
    name: 'EndpointSlices without an own address',
    changes: {
      peers: { type: 'EndpointSlices', endpointSlices: { namespace: 'a', service: 'b' }, auth: { directory: '/k' } },
    },
    says: 'peers.self: is required where POD_IP is not in the environment',
  },
  {
    name: 'an own address that is no IP',
    changes: {
      peers: { type: 'EndpointSlices', endpointSlices: { namespace: 'a', service: 'b' }, auth: { directory: '/k' } },
    },
    env: { POD_IP: 'pod-1' },
    says: 'peers.self: must be an IP address, not pod-1',
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
    says: 'peers.static: must not be set when type is EndpointSlices',
  },
  {
    name: 'a static list without this replica',
    changes: { 'peers.static.peers': ['10.0.0.2:8444'] },
    env: { POD_IP: '10.0.0.1' },
    says: 'peers.static.peers: must contain this replica, which is 10.0.0.1:8444 (peers.self)',
  },
  {
    name: 'an own address without its port',
    changes: { 'peers.self': '10.0.0.1' },
    says: 'peers.self: must be host:port, as the other replicas know it',
  },
  {
    name: 'half of the credentials in the environment',
    changes: {},
    env: { ORCA_ORIGIN_ACCESS_KEY_ID: 'AK' },
    says: 'ORCA_ORIGIN_SECRET_ACCESS_KEY: is required with ORCA_ORIGIN_ACCESS_KEY_ID',
  },
  {
    name: 'a log level of the environment that does not exist',
    changes: {},
    env: { ORCA_LOG_LEVEL: 'loud' },
    says: 'ORCA_LOG_LEVEL: must be one of debug, info, warn, error',
  },
];

describe('a config file', () => {
  test.for(rows)('with $name is refused with that one line', ({ changes, env = {}, says }) => {
    expect(mistakesOf(leastWith(changes), { ...facts, env })).toEqual([says]);
  });

  test('gets all its mistakes told at once, of every kind, each with the line it is on', () => {
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
    const mistakes = (() => {
      try {
        parseConfig(text, facts);
        return [];
      } catch (error) {
        return (error as ConfigError).mistakes;
      }
    })();
    expect(mistakes.map((line) => `${line.split(':')[0]} ${/\(line \d+\)$/.exec(line)?.[0] ?? ''}`).toSorted()).toEqual(
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

  test('gets mistakes of the environment told together with those of its rules', () => {
    const text = leastWith({ 'metadata.ttl': '5d', 'listen.edge': 'x:99999' });
    expect(mistakesOf(text, { ...facts, env: { ORCA_LOG_LEVEL: 'loud' } })).toHaveLength(3);
  });

  test.for([
    ['that is no YAML', 'origin: [', /^line \d+: /],
    ['with a key twice', 'origin: {}\norigin: {}\n', /^line 2: Map keys must be unique/],
    ['of two documents', 'a: 1\n---\nb: 2\n', /^line \d+: .*document/],
    ['that is empty', '', /^must be a map$/],
    ['that is a list', '- a\n', /^must be a map$/],
    [
      'that expands without end',
      `a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [${'*a,'.repeat(9)}*a]\nc: &c [${'*b,'.repeat(9)}*b]\nd: [${'*c,'.repeat(9)}*c]\n`,
      /alias/i,
    ],
  ] as const)('%s is refused in one line', ([, text, says]) => {
    const mistakes = mistakesOf(text);
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]).toMatch(says);
  });

  test('with every key is resolved to units, and nothing of it can be changed', async () => {
    const config = parseConfig(readFileSync('test/golden/config/full.yaml', 'utf8'), facts);
    await expect(`${JSON.stringify(config, null, 2)}\n`).toMatchFileSnapshot('../../golden/config/full.json');
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.origin.buckets[0])).toBe(true);
  });

  test('of ten lines runs, with the defaults that the documentation names', () => {
    const config = parseConfig(leastWith({}), facts);
    const documented = new Map(
      readFileSync('docs/reference/configuration.md', 'utf8')
        .split('\n')
        .map((line) => /^\| \*{0,2}`([^`]+)`\*{0,2} \| `(.*)` \|/.exec(line))
        .filter((match) => match !== null)
        .map(([, key = '', value = '']) => [key.replace(/^spec[.]/, ''), value] as const),
    );
    const said = (key: string): string => documented.get(key) ?? `nothing is said of ${key}`;
    const ms = (key: string): number | undefined => parseDuration(said(key));
    const bytes = (key: string): number | undefined => parseQuantity(said(key));
    const bool = (key: string): boolean => said(key) === 'true';
    const text = (key: string): string => (said(key) === '""' ? '' : said(key));
    const port = (key: string) => ({ host: said(key).split(':')[0], port: Number(said(key).split(':')[1]) });
    expect(config).toEqual({
      listen: { edge: port('listen.edge'), peer: port('listen.peer'), ops: port('listen.ops') },
      origin: {
        id: 'models-eu',
        identity: text('origin.identity'),
        type: 'S3',
        s3: {
          endpoint: 'http://127.0.0.1:7070',
          region: said('origin.s3.region'),
          forcePathStyle: bool('origin.s3.forcePathStyle'),
          credentials: { kind: 'default-chain' },
          caFile: text('origin.s3.caFile'),
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
        targetGlobal: Number(said('origin.targetGlobal')),
        queueTimeoutMs: ms('origin.queueTimeout'),
        retry: {
          attempts: Number(said('origin.retry.attempts')),
          backoffInitialMs: ms('origin.retry.backoffInitial'),
          backoffMaxMs: ms('origin.retry.backoffMax'),
          maxTotalDurationMs: ms('origin.retry.maxTotalDuration'),
        },
      },
      cacheStore: {
        type: 'Filesystem',
        filesystem: { path: '/var/lib/orca' },
        verifyRanges: bool('cacheStore.verifyRanges'),
      },
      chunking: {
        sizeBytes: bytes('chunking.size'),
        tiers: [...said('chunking.tiers').matchAll(/minObjectSize: (\w+), chunkSize: (\w+)/g)].map(
          ([, min = '', size = '']) => ({
            minObjectSizeBytes: parseQuantity(min),
            chunkSizeBytes: parseQuantity(size),
          }),
        ),
        readahead: Number(said('chunking.readahead')),
      },
      metadata: {
        ttlMs: ms('metadata.ttl'),
        negativeTtlMs: ms('metadata.negativeTTL'),
        staleIfErrorMs: ms('metadata.staleIfError'),
        maxEntries: Number(said('metadata.maxEntries')),
      },
      catalog: { maxEntries: Number(said('catalog.maxEntries')) },
      memory: { budgetBytes: GIB },
      peers: { type: said('peers.type'), peers: ['127.0.0.1:8444'], self: '127.0.0.1:8444', authDirectory: undefined },
      edge: {
        auth: { type: said('edge.auth.type') },
        tlsDirectory: undefined,
        region: said('edge.region'),
        virtualHostDomains: [],
        corsOrigins: [],
        listTtlMs: ms('edge.listTTL'),
        maxConnections: Number(said('edge.maxConnections')),
        explain: bool('edge.explain'),
      },
      shutdown: { propagationDelayMs: ms('shutdown.propagationDelay'), drainTimeoutMs: ms('shutdown.drainTimeout') },
      runtimeFile: undefined,
      logLevel: said('logLevel'),
      hash: config.hash,
    });
  });

  test('keeps the prefix of a bucket as it stands', () => {
    const text = leastWith({ 'origin.buckets': [{ name: 'models', prefix: ' //é%2F/../' }] });
    expect(parseConfig(text, facts).origin.buckets[0]?.prefix).toBe(' //é%2F/../');
  });

  test('gives a bucket without a TTL of its own the common one', () => {
    const text = leastWith({
      'metadata.ttl': '7s',
      'origin.buckets': [{ name: 'one' }, { name: 'two', metadataTTL: '0s' }],
    });
    expect(parseConfig(text, facts).origin.buckets.map((bucket) => bucket.metadataTtlMs)).toEqual([7000, 0]);
  });

  test('in a pod takes its address from POD_IP', () => {
    const peers = {
      type: 'EndpointSlices',
      endpointSlices: { namespace: 'ml', service: 'models-peers' },
      auth: { directory: '/k' },
    };
    const config = parseConfig(leastWith({ peers }), { ...facts, env: { POD_IP: 'fd00::7' } });
    expect(config.peers).toEqual({
      type: 'EndpointSlices',
      namespace: 'ml',
      service: 'models-peers',
      self: 'fd00::7',
      authDirectory: '/k',
    });
  });

  test('of a process alone is its own only peer at its POD_IP, in brackets for IPv6', () => {
    const config = parseConfig(leastWith({}), { ...facts, env: { POD_IP: 'fd00::7' } });
    expect(config.peers).toMatchObject({ peers: ['[fd00::7]:8444'], self: '[fd00::7]:8444' });
  });

  test('lets the environment choose the log level', () => {
    const text = leastWith({ logLevel: 'warn' });
    expect(parseConfig(text, { ...facts, env: { ORCA_LOG_LEVEL: 'debug' } }).logLevel).toBe('debug');
    expect(parseConfig(text, { ...facts, env: { ORCA_LOG_LEVEL: '' } }).logLevel).toBe('warn');
  });

  test('prefers a directory of credentials to the environment, and that to the default chain', () => {
    const env = { ORCA_ORIGIN_ACCESS_KEY_ID: 'AK', ORCA_ORIGIN_SECRET_ACCESS_KEY: 'hidden' };
    const of = (text: string, from: Readonly<Record<string, string>>) =>
      parseConfig(text, { ...facts, env: from }).origin.s3?.credentials;
    expect(of(leastWith({ 'origin.s3.credentials': { directory: '/c' } }), env)).toEqual({
      kind: 'directory',
      path: '/c',
    });
    expect(of(leastWith({}), env)).toEqual({
      kind: 'env',
      accessKeyIdVar: 'ORCA_ORIGIN_ACCESS_KEY_ID',
      secretAccessKeyVar: 'ORCA_ORIGIN_SECRET_ACCESS_KEY',
    });
    expect(of(leastWith({}), {})).toEqual({ kind: 'default-chain' });
  });

  test('takes an Azure key from a directory or the environment, else workload identity', () => {
    const changes = {
      'origin.type': 'AzureBlob',
      'origin.s3': undefined,
      'origin.azureBlob': { account: 'acme' },
      cacheStore: { type: 'AzureBlob', azureBlob: { account: 'near', container: 'chunks', caFile: '/ca.crt' } },
    };
    const env = { ORCA_ORIGIN_ACCOUNT_KEY: 'aGlkZGVu', ORCA_CACHESTORE_ACCOUNT_KEY: '' };
    const { origin, cacheStore } = parseConfig(leastWith(changes), { ...facts, env });
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
      credentials: { kind: 'workload-identity' },
      caFile: '/ca.crt',
    });
    const directory = { ...changes, 'origin.azureBlob': { account: 'acme', credentials: { directory: '/c' } } };
    expect(parseConfig(leastWith(directory), { ...facts, env }).origin.azureBlob?.credentials).toEqual({
      kind: 'directory',
      path: '/c',
    });
  });

  test('refuses to send a bearer token over http, but to itself', () => {
    const over = (endpoint: string) =>
      mistakesOf(
        leastWith({
          'origin.type': 'AzureBlob',
          'origin.s3': undefined,
          'origin.azureBlob': { account: 'acme', endpoint },
        }),
      );
    expect(over('http://blob.storage.svc:10000/acme')).toEqual([
      'origin.azureBlob.endpoint: must be https without credentials of its own: a bearer token is not sent to http://blob.storage.svc:10000',
    ]);
    expect(over('https://blob.storage.svc/acme/')).toEqual([]);
    expect(over('http://127.0.0.1:10000/acme')).toEqual([]);
  });

  test.for([
    ['half of the limit', 2 * GIB, GIB],
    ['1 GiB without a limit', 0, GIB],
    ['1 GiB where the limit is more than the machine has', 2 ** 63, GIB],
  ] as const)('without a budget gets %s', ([, constrainedBytes, budgetBytes]) => {
    const config = parseConfig(leastWith({}), { env: {}, memory: { constrainedBytes, totalBytes: 64 * GIB } });
    expect(config.memory.budgetBytes).toBe(budgetBytes);
  });

  test('whose chunks do not fit into half of the limit is refused with the numbers', () => {
    const memory = { constrainedBytes: GIB / 2, totalBytes: 64 * GIB };
    expect(mistakesOf(leastWith({}), { env: {}, memory })).toEqual([
      'memory.budget: is half of the memory limit of 512Mi: 256Mi must hold four of the largest chunks',
    ]);
    expect(mistakesOf(leastWith({ 'memory.budget': '512Mi' }), { env: {}, memory })).toEqual([]);
  });

  test('is loaded from disk, with a hash of its bytes', () => {
    const path = tempFile(leastWith({}));
    const config = loadConfig(path, {});
    expect(config).toMatchObject({
      origin: { id: 'models-eu' },
      hash: expect.stringMatching(/^[0-9a-f]{8}$/) as string,
    });
    writeFileSync(path, `${leastWith({})}\n# a comment\n`);
    expect(loadConfig(path, {}).hash).not.toBe(config.hash);
  });

  test('that is not there is a mistake with its cause', () => {
    expect(() => loadConfig('/does/not/exist.yaml', {})).toThrow(
      expect.objectContaining({
        name: 'ConfigError',
        mistakes: [expect.stringContaining('/does/not/exist.yaml') as string],
        cause: expect.objectContaining({ code: 'ENOENT' }) as Error,
      }) as Error,
    );
  });
});

describe('check-config', () => {
  test('prints what a good file resolves to, in units that people read', () => {
    const { exitCode, output } = checkConfig(tempFile(leastWith({ 'metadata.ttl': '90s' })), {});
    expect(exitCode).toBe(0);
    expect(output).toContain('ttl: 1m30s');
    expect(output).toContain('size: 8Mi');
    expect(output).toContain('budget: ');
  });

  test('prints a line for each mistake of a bad one and fails', () => {
    const result = checkConfig(tempFile(leastWith({ 'metadata.ttl': '5d', 'origin.id': '' })), {});
    expect(result).toEqual({
      exitCode: 1,
      output: expect.stringMatching(
        /^[^\n]*origin\.id: [^\n]*\n[^\n]*metadata\.ttl: [^\n]*\n$|^[^\n]*metadata\.ttl: [^\n]*\n[^\n]*origin\.id: [^\n]*\n$/,
      ) as string,
    });
  });

  test('names where secrets are and shows none', () => {
    const env = { ORCA_ORIGIN_ACCESS_KEY_ID: 'AKIAHIDDEN', ORCA_ORIGIN_SECRET_ACCESS_KEY: 'very-hidden' };
    const output = describeConfig(parseConfig(leastWith({}), { ...facts, env }));
    expect(output).toContain('ORCA_ORIGIN_SECRET_ACCESS_KEY');
    expect(output.toLowerCase()).not.toContain('hidden');
  });
});
