/** Requests for versions to an S3 server that keeps them and to a cache in front of it: cold, and again when it is warm. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { aspectsOf, differing } from '#test/integration/differential/aspects.ts';
import { judge, type Difference, type Found } from '#test/integration/differential/compare.ts';
import {
  CREDENTIALS,
  nameOf,
  request,
  send,
  type Query,
  type Request,
  type Server,
} from '#test/integration/differential/request.ts';
import { patternBytes } from '#test/support/chunks.ts';
import { ORIGIN_BUCKET as BUCKET, startReplicas, type Replicas } from '#test/support/replicas.ts';

const ANY = /^/;
/** How the cache differs (`to`) from versitygw (`from`), and why. */
const DIFFERENCES: readonly Difference[] = [
  {
    reason: 'the storage class is sent only where it is not STANDARD, as AWS does',
    where: ANY,
    what: 'header x-amz-storage-class',
    from: 'STANDARD',
    to: 'none',
  },
  {
    reason: 'error documents name the object, as AWS does for many; clients log it',
    where: ANY,
    what: /^Error (?:Key|BucketName)$/,
    from: 'none',
  },
  {
    reason: 'a 405 about a delete marker names the method and what was found, as on AWS',
    where: /versionId=<marker>/,
    what: /^Error (?:Method|ResourceType)$/,
    from: 'none',
  },
  {
    reason: 'a 304 has the validators and the caching headers (RFC 9110 §15.4.5)',
    where: / if-none-match=/,
    what: /^header (?:etag|last-modified)$/,
    from: 'none',
  },
  {
    reason: 'a 304 has no body, hence no type of one',
    where: / if-none-match=/,
    what: 'header content-type',
    from: 'application/xml',
    to: 'none',
  },
  {
    reason: 'AWS reports a delete marker for HEAD too, which is what the cache sends; versitygw only for GET',
    where: /^GET \S+\/deleted$/,
    what: /^header (?:last-modified|x-amz-delete-marker)$/,
    to: 'none',
  },
  {
    reason: 'a page of no keys is not truncated, as on AWS',
    where: /\?versions&max-keys=0$/,
    what: /^ListVersionsResult (?:IsTruncated|NextKeyMarker|NextVersionIdMarker)$/,
  },
  {
    reason: 'a version has an owner, as on AWS',
    where: /\?versions/,
    what: /Owner\.(?:ID|DisplayName)(?:\[\d+\])?$/,
    from: 'none',
    to: 'some',
  },
  {
    reason: 'every response about a bucket has the region: clients look for it on errors',
    where: /\?version(?:s|ing)/,
    what: 'header x-amz-bucket-region',
    from: 'none',
    to: 'us-east-1',
  },
];

const started = new AsyncDisposableStack();
const ids = new Map<string, string>();
let cache: Replicas;
let origin: Server;
let edge: Server;

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'orca-versions-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'keys.yaml'), JSON.stringify([CREDENTIALS]));
  cache = started.use(
    await startReplicas({
      replicas: 2,
      originVersioning: true,
      changes: {
        'origin.buckets': [{ name: BUCKET, originBucket: BUCKET }],
        'edge.auth': { type: 'SigV4', directory },
      },
    }),
  );
  const agent = started.adopt(new Agent({ keepAlive: true, maxSockets: 8 }), (agent) => agent.destroy());
  origin = { endpoint: cache.origin.endpoint, agent };
  edge = { endpoint: cache.all[0]!.edge, agent };
  await fill();
});
afterAll(() => started.disposeAsync());

/** Objects with versions of both kinds, and with delete markers. */
async function fill(): Promise<void> {
  const { origin: gateway } = cache;
  const put = async (key: string, body: string | Uint8Array, name?: string): Promise<void> => {
    const { status, headers } = await gateway.request('PUT', BUCKET, key, { body, headers: { 'x-amz-meta-a': 'b' } });
    expect(status).toBe(200);
    if (name !== undefined) ids.set(name, headers['x-amz-version-id'] ?? '');
  };
  await put('older', 'before versioning');
  await gateway.setVersioning(BUCKET, 'Enabled');
  await put('older', 'after');
  await put('object', patternBytes(3_000_000, 1), '<first>');
  await put('object', 'two!', '<second>');
  await put('object', patternBytes(3_000_000, 1), '<third>');
  await put('deleted', 'gone', '<gone>');
  ids.set('<marker>', (await gateway.request('DELETE', BUCKET, 'deleted')).headers['x-amz-version-id'] ?? '');
  await put('dir/a b', 'one');
  await put('dir/sub/c', 'one');
}

function requests(): Request[] {
  const made: Request[] = [];
  const get = (key: string, query: Query, headers: Readonly<Record<string, string>> = {}): void => {
    for (const method of ['GET', 'HEAD']) made.push(request(`/${BUCKET}/${key}`, query, { method, headers }));
  };
  const of = (name: string): Query => [['versionId', ids.get(name) ?? name]];
  for (const name of ['<first>', '<second>', '<third>']) {
    get('object', of(name));
    get('object', of(name), { 'x-amz-checksum-mode': 'ENABLED' });
    get('object', of(name), { range: 'bytes=1-2' });
    get('object', of(name), { range: 'bytes=-3' });
    get('object', of(name), { 'if-match': '"other"' });
    get('object', of(name), { 'if-none-match': '*' });
    get('object', [...of(name), ['partNumber', '1']]);
    get('object', [...of(name), ['response-content-type', 'text/x']]);
  }
  get('object', []);
  for (const name of ['null', 'nonsense', '01HZ0000000000000000000000', '<gone>']) get('object', of(name));
  get('older', of('null'));
  get('older', []);
  get('deleted', []);
  get('deleted', of('<gone>'));
  get('deleted', of('<marker>'));
  for (const query of [
    [],
    [['prefix', 'dir/']],
    [['delimiter', '/']],
    [['max-keys', '3']],
    [['max-keys', '0']],
  ] as const)
    made.push(request(`/${BUCKET}`, [['versions', ''], ...query]));
  made.push(request(`/${BUCKET}`, [['versioning', '']]));
  return made;
}

async function compare(): Promise<Found[]> {
  const found: Found[] = [];
  for (const asked of requests()) {
    const answers = await Promise.all([send(origin, asked), send(edge, asked)]);
    const [one, two] = answers.map((answer) => aspectsOf(answer, asked.method));
    let name = nameOf(asked);
    for (const [shown, id] of ids) name = name.replaceAll(id, shown);
    for (const pair of differing(one!, two!)) found.push({ request: name, ...pair });
  }
  return found;
}

test('what the cache answers about versions is what its origin would, but for what is written down', async () => {
  const cold = judge(await compare(), DIFFERENCES);
  expect(cold.unexplained).toEqual([]);
  expect(cold.unused).toEqual([]);
  expect(judge(await compare(), DIFFERENCES).unexplained).toEqual([]);
});

test('versions that were read once need no origin, whichever replica serves them', async () => {
  await cache.idle();
  await cache.origin.stop();
  for (const name of ['<first>', '<second>', '<third>']) {
    const asked = request(`/${BUCKET}/object`, [['versionId', ids.get(name) ?? '']]);
    for (const replica of cache.all) {
      const answer = await send({ ...edge, endpoint: replica.edge }, asked);
      expect([answer.status, answer.headers['x-amz-version-id'], answer.headers['x-cache']]).toEqual([
        200,
        ids.get(name),
        'HIT',
      ]);
    }
  }
});
