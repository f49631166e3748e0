/**
 * The same requests to a third-party S3 server and to a cache in front of it: every difference must be listed in
 * `differential/differences.ts`, with the reason, and nothing else may.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ORIGIN_BUCKET, startReplicas } from '#test/support/replicas.ts';
import { AT_ONCE, compareAll, judge } from '#test/integration/differential/compare.ts';
import { DIFFERENCES } from '#test/integration/differential/differences.ts';
import { fillVersitygw } from '#test/integration/differential/fill.ts';
import { CREDENTIALS, type Server } from '#test/integration/differential/request.ts';
import { SCRATCH_BUCKET } from '#test/integration/differential/requests.ts';
import { walks } from '#test/integration/differential/walk.ts';

const SHOWN = 100;

const started = new AsyncDisposableStack();
let origin: Server;
let edge: Server;

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'orca-differential-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'keys.yaml'), JSON.stringify([CREDENTIALS]));
  const cache = started.use(
    await startReplicas({
      changes: {
        'origin.buckets': [ORIGIN_BUCKET, SCRATCH_BUCKET].map((name) => ({ name, originBucket: name })),
        'edge.auth': { type: 'SigV4', directory },
      },
    }),
  );
  const agent = started.adopt(new Agent({ keepAlive: true, maxSockets: AT_ONCE }), (agent) => agent.destroy());
  origin = { endpoint: cache.origin.endpoint, agent };
  edge = { endpoint: cache.all[0]!.edge, agent };
  await fillVersitygw(cache.origin);
});
afterAll(() => started.disposeAsync());

test('what the cache answers is what its origin would, but for what is written down', async () => {
  const { unexplained, unused } = judge(await compareAll(origin, edge, 'everything'), DIFFERENCES);
  expect(unexplained.slice(0, SHOWN)).toEqual([]);
  expect(unused).toEqual([]);
});

test.for(['v1', 'v2'] as const)('lists %s hold the same, walked page by page', async (version) => {
  expect(await walks(edge, version)).toEqual(await walks(origin, version));
});
