/**
 * The same requests to a cache in front of S3 and to one in front of Azure: clients see no differences except those in
 * `differential/azure-differences.ts`.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AZURITE_HOOK_MS, startAzurite } from '#test/support/azurite.ts';
import { ORIGIN_BUCKET, ORIGIN_ID, startReplicas } from '#test/support/replicas.ts';
import type { Aspects } from '#test/integration/differential/aspects.ts';
import { AZURE_DIFFERENCES } from '#test/integration/differential/azure-differences.ts';
import { AT_ONCE, compareAll, judge } from '#test/integration/differential/compare.ts';
import { fillAzurite, fillVersitygw } from '#test/integration/differential/fill.ts';
import { CREDENTIALS, type Server } from '#test/integration/differential/request.ts';
import { SCRATCH_BUCKET } from '#test/integration/differential/requests.ts';
import { walks } from '#test/integration/differential/walk.ts';

const SHOWN = 100;

const started = new AsyncDisposableStack();
let s3: Server;
let azure: Server;

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'orca-differential-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'keys.yaml'), JSON.stringify([CREDENTIALS]));
  const azurite = started.use(await startAzurite({ containers: [ORIGIN_BUCKET] }));
  const credentials = { directory: join(directory, 'azure') };
  await mkdir(credentials.directory);
  await writeFile(join(credentials.directory, 'account-key'), azurite.accountKey);
  const auth = { 'edge.auth': { type: 'SigV4', directory } };
  const buckets = [ORIGIN_BUCKET, SCRATCH_BUCKET].map((name) => ({ name, originBucket: name }));
  const [first, second] = [
    started.use(await startReplicas({ changes: { ...auth, 'origin.buckets': buckets } })),
    started.use(
      await startReplicas({
        changes: {
          ...auth,
          origin: {
            id: ORIGIN_ID,
            type: 'AzureBlob',
            azureBlob: { account: azurite.account, endpoint: azurite.endpoint, credentials },
            buckets,
          },
        },
      }),
    ),
  ];
  const agent = started.adopt(new Agent({ keepAlive: true, maxSockets: AT_ONCE }), (agent) => agent.destroy());
  [s3, azure] = [first, second].map(({ all }) => ({ endpoint: all[0]!.edge, agent })) as [Server, Server];
  await fillVersitygw(first.origin);
  await fillAzurite(azurite);
}, AZURITE_HOOK_MS);
afterAll(() => started.disposeAsync());

/** Only their presence is compared, not their value. */
function masked(aspects: Aspects): Aspects {
  const isVersion = (name: string): boolean =>
    /^header (?:etag|last-modified)$|\.(?:ETag|LastModified)(?:\[\d+\])?$/.test(name);
  return new Map([...aspects].map(([name, value]) => [name, isVersion(name) ? 'some' : value]));
}

test('clients see no difference between the origins, except for the listed ones', async () => {
  const { unexplained, unused } = judge(await compareAll(s3, azure, 'content', masked), AZURE_DIFFERENCES);
  expect(unexplained.slice(0, SHOWN)).toEqual([]);
  expect(unused).toEqual([]);
});

test.for(['v1', 'v2'] as const)('lists %s hold the same, walked page by page', async (version) => {
  expect(await walks(azure, version)).toEqual(await walks(s3, version));
});
