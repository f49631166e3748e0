/** The cache that the clients read: two replicas with their own access keys, and the tree in an S3 or Azure origin. */
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
  /** The edge serves TLS, with a certificate of a private CA. */
  readonly tls?: boolean;
}

export interface World extends AsyncDisposable {
  readonly endpoint: string;
  readonly key: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** The directory for downloads. */
  readonly directory: string;
  /** The private CA's certificate; undefined without TLS. */
  readonly caFile: string | undefined;
  /** Makes most programs trust that CA. */
  readonly env: Readonly<Record<string, string>>;
  /** Puts an object into the origin, in addition to the tree. */
  put(key: string, body: Uint8Array): Promise<void>;
}

/** Read by the AWS SDKs for Python, by Node.js, by Go and Rust programs, and by curl. */
const CA_VARIABLES = ['AWS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'CURL_CA_BUNDLE'];
/** Virtual-host addressing: `<bucket>.` may precede this name. Clients must resolve it themselves. */
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
    // A list must contain the objects that a test has just put.
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
    // The certificate contains this address.
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

/** One world for the tests of a describe block, started before the first and closed after the last. */
export function worldFor(options: WorldOptions, hookTimeoutMs?: number): () => World {
  let world: World | undefined;
  beforeAll(async () => {
    world = await startWorld(options);
  }, hookTimeoutMs);
  afterAll(() => world?.[Symbol.asyncDispose]());
  return () => {
    if (world === undefined) throw new Error('the world is available only while the tests run');
    return world;
  };
}
