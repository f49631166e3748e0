import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { openAzureCredentials, type AzureCredentialsProvider } from '#cache/wire/azure/credentials.ts';

const KEY = Buffer.from('a secret key').toString('base64');
const SAS = 'sv=2025-11-05&se=2030-01-02T03%3A04%3A05Z&sp=r&sig=c2VjcmV0%3D';

describe('a directory', () => {
  let directory: string;
  let nowMs: number;
  let provider: AzureCredentialsProvider;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'orca-azure-'));
    nowMs = 0;
    provider = openAzureCredentials({ kind: 'directory', path: directory }, { now: () => nowMs });
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
  });

  test('with an account key yields its decoded bytes without the trailing newline', async () => {
    await writeFile(join(directory, 'account-key'), `${KEY}\n`);
    expect(await provider()).toEqual({ kind: 'shared-key', key: Buffer.from('a secret key') });
  });

  test.for([SAS, `?${SAS}\n`])('with a SAS token yields its query and expiry', async (text) => {
    await writeFile(join(directory, 'sas-token'), text);
    expect(await provider()).toEqual({ kind: 'sas', query: SAS, expiresMs: Date.UTC(2030, 0, 2, 3, 4, 5) });
  });

  test('is reread after a change, but not on every call', async () => {
    await writeFile(join(directory, 'account-key'), KEY);
    await provider();
    await rm(join(directory, 'account-key'));
    await writeFile(join(directory, 'sas-token'), SAS);
    nowMs = 1999;
    expect(await provider()).toMatchObject({ kind: 'shared-key' });
    nowMs = 2000;
    expect(await provider()).toMatchObject({ kind: 'sas' });
  });

  test('that loses its file keeps the last credentials', async () => {
    await writeFile(join(directory, 'account-key'), KEY);
    await provider();
    await rm(join(directory, 'account-key'));
    nowMs = 5000;
    expect(await provider()).toMatchObject({ kind: 'shared-key' });
  });

  test.for([
    ['nothing', {}, 'neither'],
    ['both', { 'account-key': KEY, 'sas-token': SAS }, 'remove one of them'],
    ['a malformed key', { 'account-key': 'hidden!' }, 'not a base64 account key'],
    ['a token without a signature', { 'sas-token': 'sv=2025-11-05&hidden=1' }, 'not a SAS token'],
    ['a token of two lines', { 'sas-token': `${SAS}\nhidden` }, 'not a SAS token'],
  ] as const)('with %s is reported with its path and without its content', async ([, files, what]) => {
    for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
    const failure: unknown = await Promise.resolve(provider()).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'internal', message: expect.stringContaining(what) as string });
    expect(String(failure)).toContain(directory);
    expect(String(failure)).not.toMatch(/hidden|c2VjcmV0|YSBzZWNyZXQ/);
  });
});

test('an environment variable is read on each call, and named if it is missing or malformed', async () => {
  const env: Record<string, string> = {};
  const provider = openAzureCredentials({ kind: 'env', accountKeyVar: 'THE_KEY' }, { env });
  await expect(provider()).rejects.toMatchObject({ message: 'the environment variable THE_KEY is not set' });
  env['THE_KEY'] = 'not base64';
  await expect(provider()).rejects.toMatchObject({
    message: 'the environment variable THE_KEY is not a base64 account key',
  });
  env['THE_KEY'] = KEY;
  expect(await provider()).toEqual({ kind: 'shared-key', key: Buffer.from('a secret key') });
});
