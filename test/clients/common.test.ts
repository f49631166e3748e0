/** Commonly installed clients, unmodified: each lists a tree with unusual names, and reads it whole and in ranges. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AZURITE_HOOK_MS } from '#test/support/azurite.ts';
import { BUCKET } from '#test/support/replicas.ts';
import { MODEL_BYTES } from '#test/support/try-process.ts';
import { awsCli, readWithAwsCli } from './aws-cli.ts';
import { rangesWithCurl } from './curl.ts';
import { programOr } from './programs.ts';
import { EXPECTED, linesOf } from './reading.ts';
import { readWithSdk } from './sdk.ts';
import { sha256 } from './tree.ts';
import { runTryCommand } from './try-commands.ts';
import { worldFor } from './world.ts';

const LARGE_BYTES = 20 * 1024 * 1024 + 123;

describe('with an S3 origin', () => {
  const world = worldFor({ origin: 'S3' });

  test('@aws-sdk/client-s3', async () => {
    expect(await readWithSdk(world())).toEqual(EXPECTED);
  });

  test('@aws-sdk/client-s3, with the bucket in the host name', async () => {
    expect(await readWithSdk(world(), 'virtual host')).toEqual(EXPECTED);
  });

  test('curl --aws-sigv4', async ({ skip }) => {
    expect(await rangesWithCurl(world(), programOr(skip, 'curl', 'clients'))).toEqual(EXPECTED.ranges);
  });

  test('aws s3 ls, s3 sync, s3 cp, s3api', async ({ skip }) => {
    const aws = awsCli(world(), programOr(skip, 'aws', 'clients'));
    expect(await readWithAwsCli(world(), aws)).toEqual(EXPECTED);
    // A second sync downloads nothing.
    const root = join(world().directory, 'aws');
    expect(linesOf(await aws('s3', 'sync', '--no-progress', `s3://${BUCKET}/`, root))).toEqual(['']);
    expect(String(await aws('s3', 'ls'))).toContain(BUCKET);
    const copied = await aws('s3', 'cp', `s3://${BUCKET}/large.bin`, '-');
    expect(sha256(copied)).toBe(EXPECTED.whole['large.bin']);
    const head = await aws('s3api', 'head-object', '--bucket', BUCKET, '--key', 'large.bin');
    expect(JSON.parse(String(head))).toMatchObject({ ContentLength: LARGE_BYTES });
    await expect(aws('s3', 'cp', join(root, 'plain.txt'), `s3://${BUCKET}/new`)).rejects.toThrow(/MethodNotAllowed/);
  });
});

describe('over TLS, with a private CA', () => {
  const world = worldFor({ origin: 'S3', tls: true });

  test('@aws-sdk/client-s3', async () => {
    expect(await readWithSdk(world())).toEqual(EXPECTED);
  });

  test('curl --aws-sigv4', async ({ skip }) => {
    expect(await rangesWithCurl(world(), programOr(skip, 'curl', 'clients'))).toEqual(EXPECTED.ranges);
  });
});

describe('with an Azure origin', () => {
  const world = worldFor({ origin: 'AzureBlob' }, AZURITE_HOOK_MS);

  test('@aws-sdk/client-s3', async () => {
    expect(await readWithSdk(world())).toEqual(EXPECTED);
  });

  test('aws s3 ls, s3 sync, s3api', async ({ skip }) => {
    const aws = awsCli(world(), programOr(skip, 'aws', 'clients'));
    expect(await readWithAwsCli(world(), aws)).toEqual(EXPECTED);
  });
});

describe('the commands that hack/try prints', () => {
  test('curl', async ({ skip }) => {
    expect(await runTryCommand('curl', programOr(skip, 'curl', 'clients'))).toMatch(`${MODEL_BYTES} bytes in `);
  });

  test('aws', async ({ skip }) => {
    expect(await runTryCommand('aws', programOr(skip, 'aws', 'clients'))).toBe(String(MODEL_BYTES));
  });
});
