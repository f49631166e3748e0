import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { openAzureChain } from '#cache/wire/azure/default-chain.ts';
import { httpClientOf } from '#test/support/azure-http-client.ts';
import { reply, startScriptedServer, type Script, type ScriptedServer } from '#test/support/scripted-server.ts';

const HOUR_MS = 3_600_000;

const json = (status: string, body: object): Buffer =>
  reply(status, { 'content-type': 'application/json' }, JSON.stringify(body));
const granted = (token: string): Buffer =>
  json('200 OK', {
    token_type: 'Bearer',
    access_token: token,
    expires_in: 3600,
    resource: 'https://storage.azure.com/',
  });

const discovered = (target: string): Buffer | undefined =>
  target.includes('/.well-known/openid-configuration')
    ? json('200 OK', {
        issuer: 'https://login.example.org/tenant/v2.0',
        authorization_endpoint: 'https://login.example.org/tenant/oauth2/v2.0/authorize',
        token_endpoint: 'https://login.example.org/tenant/oauth2/v2.0/token',
        jwks_uri: 'https://login.example.org/tenant/discovery/v2.0/keys',
      })
    : undefined;

interface Fixture {
  readonly server: ScriptedServer;
  readonly token: () => Promise<string>;
  nowMs: number;
}

/** `variables` may contain `FILE`, the path of a token file. */
async function open(script: Script, variables: Readonly<Record<string, string>>): Promise<Fixture> {
  const server = await startScriptedServer((request, answer) => {
    const bytes = discovered(request.target);
    if (bytes === undefined) return script(request, answer);
    answer.write(bytes);
  });
  const directory = await mkdtemp(join(tmpdir(), 'orca-identity-'));
  const saved = { ...process.env };
  onTestFinished(async () => {
    process.env = saved;
    await server[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });
  const file = join(directory, 'token');
  await writeFile(file, 'pod-token-1\n');
  const own = Object.entries(variables).map(([name, value]) => [name, value === 'FILE' ? file : value]);
  // Without a PATH there is no Azure CLI.
  process.env = { PATH: directory, HOME: directory, ...Object.fromEntries(own) };
  const fixture = { server, nowMs: 0 };
  const options = { now: () => fixture.nowMs, httpClient: httpClientOf(server.endpoint) };
  return Object.assign(fixture, { token: openAzureChain(options) });
}

const WORKLOAD_IDENTITY = {
  AZURE_CLIENT_ID: 'client',
  AZURE_TENANT_ID: 'tenant',
  AZURE_FEDERATED_TOKEN_FILE: 'FILE',
  AZURE_AUTHORITY_HOST: 'https://login.example.org/',
};

test('workload identity: the pod’s token is exchanged for an Azure Storage token, once for all calls', async () => {
  const { server, token } = await open((_, answer) => answer.write(granted('storage-token')), WORKLOAD_IDENTITY);
  expect(new Set(await Promise.all(Array.from({ length: 20 }, () => token())))).toEqual(new Set(['storage-token']));
  const posted = server.requests.filter(({ method }) => method === 'POST');
  expect(posted).toHaveLength(1);
  const [request] = posted;
  expect(request).toMatchObject({
    method: 'POST',
    target: expect.stringMatching(/^\/tenant\/oauth2\/v2.0\/token/) as string,
  });
  expect(Object.fromEntries(new URLSearchParams(request?.body.toString()))).toMatchObject({
    client_id: 'client',
    client_assertion: 'pod-token-1',
    scope: expect.stringContaining('https://storage.azure.com/.default') as string,
  });
});

test('managed identity: the metadata service of the node issues a token', async () => {
  const { server, token } = await open(({ headers }, answer) => {
    if (headers['metadata'] === undefined) answer.write(json('400 Bad Request', { error: 'no Metadata header' }));
    else answer.write(granted('node-token'));
  }, {});
  expect(await token()).toBe('node-token');
  expect(server.requests.every(({ target }) => target.startsWith('/metadata/identity/oauth2/token'))).toBe(true);
});

test('a token that cannot be renewed is used until it expires', async () => {
  let isUp = true;
  const fixture = await open(
    (_, answer) => answer.write(isUp ? granted('good') : json('400 Bad Request', { error: 'invalid_client' })),
    WORKLOAD_IDENTITY,
  );
  expect(await fixture.token()).toBe('good');
  isUp = false;
  fixture.nowMs = HOUR_MS - 10_000;
  expect(await fixture.token()).toBe('good');
});

test('a refusal contains its error number and nothing that was sent', async () => {
  const refused = {
    error: 'invalid_client',
    error_description: 'AADSTS700016: unknown application',
    error_codes: [700_016],
  };
  const { token } = await open((_, answer) => answer.write(json('401 Unauthorized', refused)), WORKLOAD_IDENTITY);
  const failure: unknown = await token().catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'internal', message: expect.stringContaining('AADSTS700016') as string });
  expect(inspect(failure, { depth: 10 })).not.toContain('pod-token');
});

test('without any credential, the message names what could be configured', async () => {
  const { token } = await open((_, answer) => answer.write(json('400 Bad Request', { error: 'none' })), {});
  await expect(token()).rejects.toMatchObject({
    code: 'internal',
    message: expect.stringContaining('neither a credentials directory nor an account key') as string,
  });
});
