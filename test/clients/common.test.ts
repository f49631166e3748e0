/** The AWS SDK, the AWS CLI and curl, unmodified: each lists a tree of awkward names, reads it whole and in parts. */
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BUCKET } from '#test/support/replicas.ts';
import { findProgram, runProgram } from './programs.ts';
import { expectedRanges, RANGES, sha256, TREE } from './tree.ts';
import { filesIn, KEY, KEYS, startWorld, WHOLE, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

test('@aws-sdk/client-s3', async () => {
  const sdk = new S3Client({ endpoint: world.endpoint, region: 'eu-west-1', forcePathStyle: true, credentials: KEY });
  const { Contents = [] } = await sdk.send(new ListObjectsV2Command({ Bucket: BUCKET }));
  expect(Contents.map(({ Key: key = '' }) => key).toSorted()).toEqual(KEYS);
  for (const { key, sha256: wanted } of TREE) {
    const { Body } = await sdk.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
    expect(sha256((await Body?.transformToByteArray()) ?? Buffer.alloc(0))).toBe(wanted);
  }
  sdk.destroy();
});

describe('aws', () => {
  const program = findProgram('aws');
  const aws = (...parameters: string[]) =>
    runProgram(program ?? '', ['--endpoint-url', world.endpoint, '--region', 'us-east-1', ...parameters], {
      env: { AWS_ACCESS_KEY_ID: KEY.accessKeyId, AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey },
    });

  test.runIf(program !== undefined)('s3 ls, s3 sync, s3 cp, s3api', async () => {
    expect((await aws('s3', 'ls')).stdout.toString()).toContain(BUCKET);
    const listed = (await aws('s3', 'ls', '--recursive', `s3://${BUCKET}/`)).stdout.toString().trimEnd().split('\n');
    expect(listed.map((line) => line.slice(31)).toSorted()).toEqual(KEYS);
    const root = join(world.directory, 'aws');
    await aws('s3', 'sync', '--no-progress', `s3://${BUCKET}/`, root);
    expect(await filesIn(root)).toEqual(WHOLE);
    // What is there and the same is not fetched again.
    expect((await aws('s3', 'sync', '--no-progress', `s3://${BUCKET}/`, root)).stdout.toString()).toBe('');
    const hashes: string[] = [];
    for (const [key, from, to] of RANGES) {
      const file = join(world.directory, 'part');
      await aws('s3api', 'get-object', '--bucket', BUCKET, '--key', key, '--range', `bytes=${from}-${to - 1}`, file);
      hashes.push(sha256(await readFile(file)));
    }
    expect(hashes).toEqual(expectedRanges());
    const head = await aws('s3api', 'head-object', '--bucket', BUCKET, '--key', 'large.bin');
    expect(JSON.parse(head.stdout.toString())).toMatchObject({ ContentLength: 20 * 1024 * 1024 + 123 });
    await expect(aws('s3', 'cp', join(world.directory, 'part'), `s3://${BUCKET}/new`)).rejects.toThrow(
      /MethodNotAllowed/,
    );
  });
});

describe('curl', () => {
  const program = findProgram('curl');
  test.runIf(program !== undefined)('--aws-sigv4', async () => {
    const options = [
      '--silent',
      '--fail',
      '--aws-sigv4',
      'aws:amz:us-east-1:s3',
      '--user',
      `${KEY.accessKeyId}:${KEY.secretAccessKey}`,
    ];
    const header = ['--header', 'x-amz-content-sha256: UNSIGNED-PAYLOAD'];
    for (const [index, [key, from, to]] of RANGES.entries()) {
      const url = `${world.endpoint}/${BUCKET}/${encodeURIComponent(key)}`;
      const { stdout } = await runProgram(program ?? '', [...options, ...header, '--range', `${from}-${to - 1}`, url]);
      expect(sha256(stdout)).toBe(expectedRanges()[index]);
    }
  });
});
