/**
 * The same requests to an S3 server that is not ours and to a cache in front of it: what differs is written down in
 * `differential/differences.ts`, with the reason, and nothing else may.
 */
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { patternBytes } from '#test/support/engines.ts';
import { MIB, ORIGIN_BUCKET, startReplicas, type Replicas } from '#test/support/replicas.ts';
import { aspectsOf, differing } from './differential/aspects.ts';
import { DIFFERENCES, type Difference } from './differential/differences.ts';
import { CREDENTIALS, nameOf, request, send, type Query, type Request, type Server } from './differential/request.ts';
import { LISTED, OBJECT_BYTES, requests, SCRATCH_BUCKET, type Versions } from './differential/requests.ts';
import { walk } from './differential/walk.ts';

/** Enough to keep both busy, few enough to be gentle. */
const AT_ONCE = 8;
const SHOWN = 100;

const started = new AsyncDisposableStack();
let cache: Replicas;
let origin: Server;
let edge: Server;

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'orca-differential-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'keys.yaml'), JSON.stringify([CREDENTIALS]));
  cache = started.use(
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
  await fill();
});
afterAll(() => started.disposeAsync());

async function fill(): Promise<void> {
  const { origin } = cache;
  await origin.createBucket(SCRATCH_BUCKET);
  await origin.putObject(ORIGIN_BUCKET, 'object', patternBytes(OBJECT_BYTES), {
    'content-type': 'text/plain; charset=utf-8',
    'content-disposition': 'inline; filename="a.txt"',
    'content-language': 'en',
    'content-encoding': 'identity',
    'cache-control': 'max-age=60',
    expires: 'Thu, 01 Dec 2094 16:00:00 GMT',
    'x-amz-meta-owner': 'somebody',
    'x-amz-meta-empty': '',
  });
  await origin.putObject(ORIGIN_BUCKET, 'empty', '');
  await origin.putObject(ORIGIN_BUCKET, 'plain', 'plain');
  await origin.putObject(ORIGIN_BUCKET, 'summed', '123456789', { 'x-amz-checksum-crc32': 'y/Q5Jg==' });
  for (const key of LISTED) await origin.putObject(ORIGIN_BUCKET, key, key);
  await uploadInParts('multipart', [5 * MIB, 5 * MIB, 123]);
  await uploadInParts('one-part', [1000]);
}

async function uploadInParts(key: string, sizes: readonly number[]): Promise<void> {
  const { endpoint } = cache.origin;
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: { ...CREDENTIALS } });
  const upload = { Bucket: ORIGIN_BUCKET, Key: key };
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(upload));
  const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
  for (const [index, size] of sizes.entries()) {
    const PartNumber = index + 1;
    const part = { ...upload, UploadId, PartNumber, Body: patternBytes(size, PartNumber) };
    Parts.push({ PartNumber, ETag: (await client.send(new UploadPartCommand(part))).ETag });
  }
  await client.send(new CompleteMultipartUploadCommand({ ...upload, UploadId, MultipartUpload: { Parts } }));
  client.destroy();
}

interface Found {
  readonly request: string;
  readonly what: string;
  readonly origin: string;
  readonly cache: string;
}

/** `versions`: what differs from run to run is named in words. */
async function compare(asked: Request, { etag, modifiedMs }: Versions): Promise<Found[]> {
  const [first, second] = await Promise.all([send(origin, asked), send(edge, asked)]);
  const pairs = differing(aspectsOf(first, asked.method), aspectsOf(second, asked.method));
  const name = nameOf(asked).replaceAll(etag, '<etag>').replaceAll(new Date(modifiedMs).toUTCString(), '<modified>');
  return pairs.map((pair) => ({ request: name, ...pair }));
}

function explains({ where, what, origin, cache }: Difference, found: Found): boolean {
  const fits = (pattern: RegExp | string | undefined, text: string): boolean =>
    pattern === undefined || (typeof pattern === 'string' ? pattern === text : pattern.test(text));
  return where.test(found.request) && fits(what, found.what) && fits(origin, found.origin) && fits(cache, found.cache);
}

test('what the cache answers is what its origin would, but for what is written down', async () => {
  const head = await send(origin, request(`/${ORIGIN_BUCKET}/object`, [], { method: 'HEAD' }));
  const { etag = '', 'last-modified': modified = '' } = head.headers;
  const versions = { etag, modifiedMs: Date.parse(modified) };
  const asked = requests(versions);
  const found: Found[] = [];
  const next = asked.values();
  const worker = async (): Promise<void> => {
    for (const one of next) found.push(...(await compare(one, versions)));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));

  const used = new Set<Difference>();
  const unexplained = found.filter((one) => {
    const difference = DIFFERENCES.find((candidate) => explains(candidate, one));
    if (difference !== undefined) used.add(difference);
    return difference === undefined;
  });
  expect(unexplained.slice(0, SHOWN)).toEqual([]);
  expect(DIFFERENCES.filter((difference) => !used.has(difference)).map(({ reason }) => reason)).toEqual([]);
  // Most of what is asked is answered alike.
  expect(asked.length).toBeGreaterThan(1_000);
});

test.for(['v1', 'v2'] as const)('lists %s hold the same, walked page by page', async (version) => {
  for (const prefix of ['', 'list/', 'list/a'])
    for (const delimiter of ['', '/', 'b'])
      for (const size of ['1', '2', '3', '100']) {
        const query: Query = [
          ['prefix', prefix],
          ['delimiter', delimiter],
          ['max-keys', size],
        ];
        const [wanted, got] = await Promise.all([origin, edge].map((server) => walk(server, version, query)));
        expect([query, got]).toEqual([query, wanted]);
      }
});
