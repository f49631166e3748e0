import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openWorkloadIdentity } from '#cache/wire/azure/workload-identity.ts';
import { reply, startScriptedServer, type Script, type ScriptedServer } from '#test/support/scripted-server.ts';

const HOUR_MS = 3_600_000;

const granted = (token: string, seconds = 3600): Buffer =>
  reply(
    '200 OK',
    { 'content-type': 'application/json' },
    JSON.stringify({ token_type: 'Bearer', access_token: token, expires_in: seconds }),
  );

interface Fixture {
  readonly server: ScriptedServer;
  readonly file: string;
  readonly token: () => Promise<string>;
  nowMs: number;
}

async function open(script: Script, over: Readonly<Record<string, string | undefined>> = {}): Promise<Fixture> {
  const server = await startScriptedServer(script);
  const directory = await mkdtemp(join(tmpdir(), 'orca-identity-'));
  onTestFinished(async () => {
    await server[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });
  const file = join(directory, 'token');
  await writeFile(file, 'pod-token-1\n');
  const fixture = { server, file, nowMs: 0 };
  const env = {
    AZURE_CLIENT_ID: 'client',
    AZURE_TENANT_ID: 'tenant',
    AZURE_FEDERATED_TOKEN_FILE: file,
    AZURE_AUTHORITY_HOST: `${server.endpoint}/`,
    ...over,
  };
  return Object.assign(fixture, { token: openWorkloadIdentity({ env, now: () => fixture.nowMs }) });
}

const formOf = (fixture: Fixture, index: number): Record<string, string> =>
  Object.fromEntries(new URLSearchParams(fixture.server.requests[index]?.body.toString()));

test('the pod’s token is exchanged for an Azure Storage token', async () => {
  const fixture = await open((_, answer) => answer.write(granted('storage-token')));
  expect(await fixture.token()).toBe('storage-token');
  expect(fixture.server.requests[0]).toMatchObject({ method: 'POST', target: '/tenant/oauth2/v2.0/token' });
  expect(formOf(fixture, 0)).toEqual({
    grant_type: 'client_credentials',
    client_id: 'client',
    scope: 'https://storage.azure.com/.default',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: 'pod-token-1',
  });
});

test('one exchange serves concurrent calls, and is repeated with the reread file shortly before expiry', async () => {
  let number = 0;
  const fixture = await open((_, answer) => answer.write(granted(`storage-token-${++number}`)));
  expect(new Set(await Promise.all(Array.from({ length: 20 }, () => fixture.token())))).toEqual(
    new Set(['storage-token-1']),
  );
  fixture.nowMs = HOUR_MS - 300_001;
  expect(await fixture.token()).toBe('storage-token-1');
  expect(fixture.server.requests).toHaveLength(1);

  await writeFile(fixture.file, 'pod-token-2');
  fixture.nowMs = HOUR_MS - 299_999;
  // Still valid for minutes: nothing waits for the new one.
  expect(await fixture.token()).toBe('storage-token-1');
  await expect.poll(() => fixture.token()).toBe('storage-token-2');
  expect(formOf(fixture, 1)).toMatchObject({ client_assertion: 'pod-token-2' });
  expect(fixture.server.requests).toHaveLength(2);
});

test('a token that can’t be renewed is used until it expires, and not every request retries the exchange', async () => {
  let isUp = true;
  const fixture = await open((_, answer) => answer.write(isUp ? granted('good') : reply('503 Unavailable', {}, '{}')));
  await fixture.token();
  isUp = false;
  fixture.nowMs = HOUR_MS - 10_000;
  expect(await fixture.token()).toBe('good');
  await expect.poll(() => fixture.server.requests.length).toBe(2);
  await expect.poll(async () => [await fixture.token(), fixture.server.requests.length]).toEqual(['good', 2]);
  fixture.nowMs = HOUR_MS;
  await expect(fixture.token()).rejects.toMatchObject({ code: 'internal', status: 503 });
  const asked = fixture.server.requests.length;
  await expect(fixture.token()).rejects.toMatchObject({ code: 'internal' });
  expect(fixture.server.requests).toHaveLength(asked);
  isUp = true;
  fixture.nowMs += 2_000;
  expect(await fixture.token()).toBe('good');
});

test('a refusal contains its error number and nothing that was sent', async () => {
  const refused = { error: 'invalid_client', error_description: 'pod-token-1 is bad', error_codes: [700016] };
  const fixture = await open((_, answer) => answer.write(reply('401 Unauthorized', {}, JSON.stringify(refused))));
  const failure: unknown = await fixture.token().catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'internal', status: 401 });
  expect(String(failure)).toContain('AADSTS700016');
  expect(JSON.stringify([failure, String(failure), String((failure as Error).cause)])).not.toContain('pod-token');
});

test.for([
  ['a redirect', reply('302 Found', { location: 'http://127.0.0.1:1/' })],
  ['no JSON', reply('200 OK', {}, '<html>')],
  ['no token', reply('200 OK', {}, '{}')],
  ['a token that could end a header', reply('200 OK', {}, '{"access_token":"a\\r\\nb","expires_in":1}')],
] as const)('a response with %s is refused', async ([, answer]) => {
  const fixture = await open((_, out) => out.write(answer));
  await expect(fixture.token()).rejects.toMatchObject({ code: 'internal' });
});

test.for(['AZURE_CLIENT_ID', 'AZURE_TENANT_ID', 'AZURE_FEDERATED_TOKEN_FILE'])(
  'without %s it is named',
  async (name) => {
    const fixture = await open((_, answer) => answer.write(granted('x')), { [name]: undefined });
    await expect(fixture.token()).rejects.toMatchObject({ message: expect.stringContaining(name) as string });
  },
);

test('a token file that is missing or empty is named', async () => {
  const fixture = await open((_, answer) => answer.write(granted('x')));
  await writeFile(fixture.file, ' \n');
  await expect(fixture.token()).rejects.toMatchObject({ message: `the token file ${fixture.file} is empty` });
  await rm(fixture.file);
  fixture.nowMs = 2_000;
  await expect(fixture.token()).rejects.toMatchObject({ message: `the token file ${fixture.file} can't be read` });
});

test('the pod’s token is sent over http only to loopback', async () => {
  const fixture = await open((_, answer) => answer.write(granted('x')), {
    AZURE_AUTHORITY_HOST: 'http://login.example.org/',
  });
  await expect(fixture.token()).rejects.toMatchObject({ message: 'AZURE_AUTHORITY_HOST must be an https:// URL' });
});
