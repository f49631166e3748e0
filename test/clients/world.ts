/** The cache that the clients read: two replicas, keys of its own, the tree in its origin, whichever that is. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { startAzurite } from '#test/support/azurite.ts';
import { BUCKET, ORIGIN_BUCKET, ORIGIN_ID, startReplicas } from '#test/support/replicas.ts';
import { TREE } from './tree.ts';

export type OriginType = 'S3' | 'AzureBlob';

export interface World extends AsyncDisposable {
  readonly endpoint: string;
  readonly key: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** For what clients download. */
  readonly directory: string;
  /** Puts an object into the origin, beside the tree. */
  put(key: string, body: Uint8Array): Promise<void>;
}

const KEY = { accessKeyId: 'CLIENT', secretAccessKey: 'a-secret-of-the-edge' };

export async function startWorld(type: OriginType): Promise<World> {
  await using started = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'orca-clients-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'keys.yaml'), JSON.stringify([KEY]));
  const azurite = type === 'AzureBlob' ? started.use(await startAzurite({ containers: [ORIGIN_BUCKET] })) : undefined;
  const changes: Record<string, unknown> = {
    'edge.auth': { type: 'SigV4', directory },
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
  const cache = started.use(await startReplicas({ replicas: 2, changes }));
  const put: World['put'] = (key, body) =>
    azurite === undefined ? cache.put(key, body) : azurite.putBlob(ORIGIN_BUCKET, key, body);
  for (const { key, body } of TREE) await put(key, body);
  const owned = started.move();
  return {
    endpoint: cache.all[0]!.edge,
    key: KEY,
    directory,
    put,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** One for the tests of a describe block, started before the first and gone after the last. */
export function worldFor(type: OriginType, hookTimeoutMs?: number): () => World {
  let world: World | undefined;
  beforeAll(async () => {
    world = await startWorld(type);
  }, hookTimeoutMs);
  afterAll(() => world?.[Symbol.asyncDispose]());
  return () => {
    if (world === undefined) throw new Error('the world is there once the tests run');
    return world;
  };
}
