import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { openCredentials, type CredentialsProvider } from '#cache/wire/credentials-source.ts';

describe('a directory of files', () => {
  let directory: string;
  let nowMs: number;
  let provider: CredentialsProvider;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'orca-credentials-'));
    nowMs = 0;
    provider = openCredentials({ kind: 'directory', path: directory }, { region: 'us-east-1', now: () => nowMs });
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
  });

  /** Writes a Secret as the kubelet does: a new directory behind the `..data` symlink, swapped atomically. */
  const mount = async (version: string, files: Record<string, string>): Promise<void> => {
    await mkdir(join(directory, version));
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(directory, version, name), content);
      await symlink(join('..data', name), join(directory, name)).catch((error: unknown) => {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      });
    }
    await symlink(version, join(directory, '..data_tmp'));
    await rename(join(directory, '..data_tmp'), join(directory, '..data'));
  };

  test('yields the contents of its files without the trailing newline', async () => {
    await writeFile(join(directory, 'access-key-id'), 'AKID\n');
    await writeFile(join(directory, 'secret-access-key'), 'secret\r\n');
    expect(await provider()).toEqual({ accessKeyId: 'AKID', secretAccessKey: 'secret', sessionToken: undefined });
  });

  test('yields a session token if there is one', async () => {
    await mount('v1', { 'access-key-id': 'A', 'secret-access-key': 'S', 'session-token': 'T\n' });
    expect(await provider()).toEqual({ accessKeyId: 'A', secretAccessKey: 'S', sessionToken: 'T' });
  });

  test('is reread after the Secret is swapped, but not on every call', async () => {
    await mount('v1', { 'access-key-id': 'A1', 'secret-access-key': 'S1' });
    expect(await provider()).toMatchObject({ accessKeyId: 'A1' });
    await mount('v2', { 'access-key-id': 'A2', 'secret-access-key': 'S2' });
    nowMs = 1999;
    expect(await provider()).toMatchObject({ accessKeyId: 'A1', secretAccessKey: 'S1' });
    nowMs = 2000;
    expect(await provider()).toMatchObject({ accessKeyId: 'A2', secretAccessKey: 'S2' });
  });

  test('that loses its files keeps the last credentials, and recovers', async () => {
    await mount('v1', { 'access-key-id': 'A1', 'secret-access-key': 'S1' });
    await provider();
    await rm(join(directory, 'v1', 'secret-access-key'));
    nowMs = 5000;
    expect(await provider()).toMatchObject({ accessKeyId: 'A1', secretAccessKey: 'S1' });
    await mount('v2', { 'access-key-id': 'A2', 'secret-access-key': 'S2' });
    nowMs = 10_000;
    expect(await provider()).toMatchObject({ accessKeyId: 'A2', secretAccessKey: 'S2' });
  });

  test.for(['access-key-id', 'secret-access-key'])(
    'without %s names the missing file, and works once it exists',
    async (name) => {
      await mount('v1', { 'access-key-id': 'top', 'secret-access-key': 'secret' });
      await writeFile(join(directory, 'v1', name), ' \n');
      const failure = await Promise.resolve(provider()).catch((error: unknown) => error);
      expect(failure).toMatchObject({
        code: 'internal',
        message: `the credentials file ${join(directory, name)} is missing or empty`,
      });
      await writeFile(join(directory, 'v1', name), 'now');
      expect(await provider()).toBeDefined();
    },
  );

  test('that is not a directory is reported by file name and without content', async () => {
    await rm(directory, { recursive: true });
    await expect(provider()).rejects.toMatchObject({
      message: expect.stringContaining(join(directory, 'access-key-id')) as unknown,
    });
  });

  test('is read once for concurrent calls', async () => {
    await mount('v1', { 'access-key-id': 'A', 'secret-access-key': 'S' });
    const all = await Promise.all(Array.from({ length: 20 }, async () => provider()));
    expect(new Set(all).size).toBe(1);
  });
});

test('environment variables are read on the first call, and a missing one is named', async () => {
  const env: Record<string, string> = { KEY_ID: 'A' };
  const provider = openCredentials(
    { kind: 'env', accessKeyIdVar: 'KEY_ID', secretAccessKeyVar: 'KEY_SECRET' },
    { region: 'us-east-1', env },
  );
  await expect(provider()).rejects.toMatchObject({
    code: 'internal',
    message: 'the environment variable KEY_SECRET is not set',
  });
  env['KEY_SECRET'] = 'S\n';
  expect(await provider()).toEqual({ accessKeyId: 'A', secretAccessKey: 'S' });
});

test('the default chain is that of the AWS SDK', async () => {
  const saved = { ...process.env };
  onTestFinished(() => {
    process.env = saved;
  });
  process.env = { ...saved, AWS_ACCESS_KEY_ID: 'CHAIN', AWS_SECRET_ACCESS_KEY: 'S', AWS_SESSION_TOKEN: 'T' };
  const provider = openCredentials({ kind: 'default-chain' }, { region: 'us-east-1' });
  expect(await provider()).toEqual({ accessKeyId: 'CHAIN', secretAccessKey: 'S', sessionToken: 'T' });
});
