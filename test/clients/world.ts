/** The cache that the clients read: two replicas, keys of its own, the tree in its origin, whichever that is. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { startAzurite } from '#test/support/azurite.ts';
import { BUCKET, ORIGIN_BUCKET, ORIGIN_ID, startReplicas } from '#test/support/replicas.ts';
import { TEST_CA, TEST_CERTIFICATE, TEST_KEY } from '#test/support/tls-fixture.ts';
import { TREE } from './tree.ts';

export type OriginType = 'S3' | 'AzureBlob';

export interface WorldOptions {
  readonly origin: OriginType;
  /** The edge speaks TLS, with a certificate of a CA that nobody knows. */
  readonly tls?: boolean;
}

export interface World extends AsyncDisposable {
  readonly endpoint: string;
  readonly key: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** For what clients download. */
  readonly directory: string;
  /** The private CA's certificate, where there is TLS. */
  readonly caFile: string | undefined;
  /** How most programs are told of that CA. */
  readonly env: Readonly<Record<string, string>>;
  /** Puts an object into the origin, beside the tree. */
  put(key: string, body: Uint8Array): Promise<void>;
}

/** Of the AWS SDKs for Python, of Node, of Go and Rust programs, of curl. */
const CA_VARIABLES = ['AWS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'CURL_CA_BUNDLE'];
/** Buckets may stand before it, for who finds out where that is. */
export const VIRTUAL_HOST_DOMAIN = 's3.cache.test';
const KEY = { accessKeyId: 'CLIENT', secretAccessKey: 'a-secret-of-the-edge' };

export async function startWorld({ origin: type, tls = false }: WorldOptions): Promise<World> {
  await using started = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'orca-clients-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'keys.yaml'), JSON.stringify([KEY]));
  const azurite = type === 'AzureBlob' ? started.use(await startAzurite({ containers: [ORIGIN_BUCKET] })) : undefined;
  const changes: Record<string, unknown> = {
    'edge.auth': { type: 'SigV4', directory },
    'edge.virtualHostDomains': [VIRTUAL_HOST_DOMAIN],
    // What a test has put is there for the next one.
    'edge.listTTL': '0s',
  };
  if (azurite !== undefined) {
    const { account, accountKey, endpoint } = azurite;
    const credentials = { directory: join(directory, 'azure') };
    await mkdir(credentials.directory);
    await writeFile(join(credentials.directory, 'account-key'), accountKey);
    changes['origin'] = {
      id: ORIGIN_ID,
      type,
      azureBlob: { account, endpoint, credentials },
      buckets: [{ name: BUCKET, originBucket: ORIGIN_BUCKET }],
    };
  }
  const caFile = tls ? join(directory, 'ca.crt') : undefined;
  if (caFile !== undefined) {
    await writeFile(caFile, TEST_CA);
    await writeFile(join(directory, 'tls.crt'), TEST_CERTIFICATE);
    await writeFile(join(directory, 'tls.key'), TEST_KEY);
    changes['edge.tls'] = { directory };
    // The name in the certificate.
    changes['listen.edge'] = '127.0.0.1:0';
  }
  const cache = started.use(await startReplicas({ replicas: 2, changes }));
  const put: World['put'] = (key, body) =>
    azurite === undefined ? cache.put(key, body) : azurite.putBlob(ORIGIN_BUCKET, key, body);
  for (const { key, body } of TREE) await put(key, body);
  const owned = started.move();
  return {
    endpoint: tls ? `https://127.0.0.1:${cache.all[0]!.cache.ports.edge}` : cache.all[0]!.edge,
    caFile,
    env: caFile === undefined ? {} : Object.fromEntries(CA_VARIABLES.map((name) => [name, caFile])),
    key: KEY,
    directory,
    put,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** One for the tests of a describe block, started before the first and gone after the last. */
export function worldFor(options: WorldOptions, hookTimeoutMs?: number): () => World {
  let world: World | undefined;
  beforeAll(async () => {
    world = await startWorld(options);
  }, hookTimeoutMs);
  afterAll(() => world?.[Symbol.asyncDispose]());
  return () => {
    if (world === undefined) throw new Error('the world is there once the tests run');
    return world;
  };
}
