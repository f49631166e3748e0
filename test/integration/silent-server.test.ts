/** Every call to another service, while that service is silent: it ends within its own limit, and with its signal. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { OBJECT_SUB_RESOURCES } from '#cache/core/s3/sub-resource.ts';
import type { CallOptions, Origin, ProbedStore } from '#cache/engine/ports.ts';
import { openAzureOrigin } from '#cache/origins/azure-blob/origin.ts';
import { openHttpOrigin } from '#cache/origins/http/origin.ts';
import { openS3Origin } from '#cache/origins/s3/origin.ts';
import { openAzureStore } from '#cache/stores/azure-blob/store.ts';
import { openS3Store } from '#cache/stores/s3/store.ts';
import { openAzureCredentials } from '#cache/wire/azure/credentials.ts';
import { openCredentials } from '#cache/wire/credentials-source.ts';
import { openPodProbe } from '#operator/reconcile/probe-pod.ts';
import { openKubeClient } from '#shared/kube/client.ts';
import { httpClientOf } from '#test/support/azure-http-client.ts';
import { chunkFor, metadataFor, patternBytes } from '#test/support/chunks.ts';
import { collectSink } from '#test/support/collect-sink.ts';
import { SILENCES, startSilentServer, type Silence, type SilentServer } from '#test/support/silent-server.ts';

/** The limits of the calls, where they can be set. */
const LIMIT_MS = 100;
/** Far above the time until a test aborts its signal. */
const CONNECT_LIMIT_MS = 1_000;
/** Far above any limit here (2 s for some connections), far below what an unbounded call takes. */
const SOON_MS = 8_000;
const ETAG = 'e1';
/** Begins a response that fits every read. */
const HEAD =
  'HTTP/1.1 206 Partial Content\r\nContent-Length: 1000\r\nContent-Range: bytes 0-999/1000\r\n' +
  `Content-Type: application/xml\r\nETag: "${ETAG}"\r\nx-ms-blob-type: BlockBlob\r\n\r\n`;

const object = { originId: 'o', bucket: 'bucket', key: 'key', etag: ETAG, sizeBytes: 1000 };
const range = { from: 0, to: 1000 };
const TAGGING = OBJECT_SUB_RESOURCES['tagging']!;
const listed = { prefix: '', delimiter: '', after: '', maxKeys: 10 };
const body = patternBytes(1000);
const chunk = chunkFor(body, 'object', ETAG);

type Call<T> = (target: T, call: CallOptions) => Promise<unknown>;

/** Every method of the port: one without a call here does not compile. */
type Calls<T> = Readonly<Record<Exclude<keyof T, 'close'>, Call<T>>>;

const ORIGIN_CALLS: Calls<Origin> = {
  head: (origin, call) => origin.head('bucket', 'key', call),
  read: (origin, call) => origin.read(object, range, collectSink(), call),
  part: (origin, call) => origin.part(object, 1, call),
  checkOwner: (origin, call) => origin.checkOwner('bucket', 'key', '123456789012', call),
  subResource: (origin, call) => origin.subResource('bucket', 'key', TAGGING, call),
  list: (origin, call) => origin.list('bucket', listed, call),
  listVersions: (origin, call) =>
    origin.listVersions('bucket', { ...listed, keyMarker: '', versionIdMarker: '' }, call),
  listBuckets: (origin, call) => origin.listBuckets('', call),
  probe: (origin, call) => origin.probe('bucket', '', call),
};

const SMALL = '_orca/identity/o';
const STORE_CALLS: Omit<Calls<ProbedStore>, NotACall> = {
  read: (store, call) => store.read(chunk, range, collectSink(), () => {}, call),
  has: (store, call) => store.has(chunk, call),
  commit: (store, call) => store.commit(chunk, metadataFor(chunk, body), [body], call),
  getSmall: (store, call) => store.getSmall(SMALL, call),
  putSmall: (store, call) => store.putSmall(SMALL, body, { ...call, ifAbsent: true }),
  deleteSmall: (store, call) => store.deleteSmall(SMALL, call),
  list: (store, call) => store.list('_orca/', undefined, call),
  remove: (store, call) => store.remove([SMALL, chunk.path], call),
  probe: (store, call) => store.probe('_orca/probe/test', call),
};
/** `totalBytes` is a call of file systems only. */
type NotACall = 'trustConditions' | 'sharesMemory' | 'hung' | 'totalBytes';

function only(...names: readonly (keyof typeof ORIGIN_CALLS)[]): Readonly<Record<string, Call<Origin>>> {
  return Object.fromEntries(names.map((name) => [name, ORIGIN_CALLS[name]]));
}

process.env['ORCA_TEST_KEY'] = 'a2V5';
const s3 = (endpoint: string) => ({
  endpoint,
  region: 'us-east-1',
  forcePathStyle: true,
  caFile: '',
  connectTimeoutMs: CONNECT_LIMIT_MS,
  credentials: { kind: 'env', accessKeyIdVar: 'ORCA_TEST_KEY', secretAccessKeyVar: 'ORCA_TEST_KEY' } as const,
});
const azure = (endpoint: string) => ({
  endpoint: `${endpoint}/account`,
  account: 'account',
  caFile: '',
  connectTimeoutMs: CONNECT_LIMIT_MS,
  credentials: { kind: 'env', accountKeyVar: 'ORCA_TEST_KEY' } as const,
});
const http = (endpoint: string) => ({
  urls: { bucket: `${endpoint}/` },
  allowLastModified: false,
  redirectHosts: [],
  credentialsDirectory: undefined,
  caFile: undefined,
  env: {},
});

/** Runs the calls of one driver: first within its limits, then until the signal aborts. */
function callsEnd<T extends { close(): Promise<void> }>(
  name: string,
  calls: Readonly<Record<string, Call<T>>>,
  open: (endpoint: string) => T,
  unavailable: string,
): void {
  describe.concurrent.for(SILENCES)(`${name} at a server that %s`, (silence) => {
    let server: SilentServer;
    let target: T;
    beforeAll(async () => {
      server = await startSilentServer(silence, HEAD);
      target = open(server.endpoint);
    });
    afterAll(async () => {
      await target.close();
      await server[Symbol.asyncDispose]();
    });

    test.for(Object.entries(calls))('%s ends within its limits', async ([, call]) => {
      const { signal } = new AbortController();
      const failure = await settled(call(target, { signal, firstByteTimeoutMs: LIMIT_MS, stallTimeoutMs: LIMIT_MS }));
      // A head without a body may be an answer already.
      if (silence !== 'stops after a head' || failure !== undefined)
        expect(failure).toMatchObject({ name: 'OrcaError' });
      if (silence !== 'stops after a head' && failure !== undefined)
        expect(failure).toMatchObject({ code: unavailable });
    });

    test.for(Object.entries(calls))('%s ends with its signal', async ([, call]) => {
      const stop = new AbortController();
      const pending = settled(call(target, { signal: stop.signal }));
      setTimeout(() => stop.abort(new OrcaError('cancelled', 'the client left')), LIMIT_MS / 2);
      const failure = await pending;
      if (silence !== 'stops after a head') expect(failure).toMatchObject({ code: 'cancelled' });
    });
  });
}

/** What it rejects with; fails if it does not settle soon. */
async function settled(promise: Promise<unknown>): Promise<unknown> {
  const startedMs = performance.now();
  const failure: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(performance.now() - startedMs).toBeLessThan(SOON_MS);
  return failure;
}

callsEnd('the S3 origin', ORIGIN_CALLS, (endpoint) => openS3Origin(s3(endpoint)), 'origin_unavailable');
callsEnd(
  'the Azure origin',
  only('head', 'read', 'list', 'listBuckets', 'probe'),
  (endpoint) => openAzureOrigin(azure(endpoint)),
  'origin_unavailable',
);
callsEnd(
  'the HTTP origin',
  only('head', 'read', 'probe'),
  (endpoint) => openHttpOrigin(http(endpoint)),
  'origin_unavailable',
);
callsEnd(
  'the S3 cachestore',
  STORE_CALLS,
  (endpoint) => openS3Store({ ...s3(endpoint), bucket: 'chunks' }),
  'store_unavailable',
);
callsEnd(
  'the Azure cachestore',
  STORE_CALLS,
  (endpoint) => openAzureStore({ ...azure(endpoint), container: 'chunks' }),
  'store_unavailable',
);

/** A directory with an identity token, and a silent server, for the duration of a test. */
async function tokenService(silence: Silence): Promise<{ readonly endpoint: string; readonly tokenFile: string }> {
  const server = await startSilentServer(silence, HEAD);
  const directory = await mkdtemp(join(tmpdir(), 'orca-silent-'));
  const tokenFile = join(directory, 'token');
  await writeFile(tokenFile, 'pod-token');
  onTestFinished(async () => {
    await server[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });
  return { endpoint: server.endpoint, tokenFile };
}

/** Sets variables that the AWS SDK reads from the process, for the duration of a test. */
function setEnv(variables: Readonly<Record<string, string>>): void {
  const saved = { ...process.env };
  onTestFinished(() => {
    process.env = saved;
  });
  process.env = { ...saved, AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null', ...variables };
}

const AWS_SERVICES: Readonly<Record<string, (service: { endpoint: string; tokenFile: string }) => void>> = {
  'the token service of IRSA': ({ endpoint, tokenFile }) =>
    setEnv({
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/reader',
      AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile,
      AWS_ENDPOINT_URL_STS: endpoint,
    }),
  'the agent of EKS Pod Identity': ({ endpoint, tokenFile }) =>
    setEnv({ AWS_CONTAINER_CREDENTIALS_FULL_URI: endpoint, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile }),
  'the instance metadata service': ({ endpoint }) => setEnv({ AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint }),
};

describe.for(SILENCES)('credentials from a service that %s', (silence) => {
  test.for(Object.entries(AWS_SERVICES))('%s: the exchange has a limit', async ([, use]) => {
    use(await tokenService(silence));
    const provider = openCredentials({ kind: 'default-chain' }, { region: 'us-east-1', timeoutMs: LIMIT_MS });
    expect(await settled(Promise.resolve(provider()))).toMatchObject({ code: 'internal' });
  });

  test.for(Object.entries(AWS_SERVICES))('%s: a request that waits for them ends with its signal', async ([, use]) => {
    use(await tokenService(silence));
    const origin = openS3Origin({ ...s3('http://127.0.0.1:1'), credentials: { kind: 'default-chain' } });
    const stop = new AbortController();
    const pending = Promise.all(
      (['head', 'list'] as const).map((name) => settled(ORIGIN_CALLS[name](origin, { signal: stop.signal }))),
    );
    setTimeout(() => stop.abort(new OrcaError('cancelled', 'the client left')), LIMIT_MS / 2);
    for (const failure of await pending) expect(failure).toMatchObject({ code: 'cancelled' });
    await origin.close();
  });

  test('Entra and the metadata service of a node: the chain has a limit', async () => {
    const { endpoint, tokenFile } = await tokenService(silence);
    setEnv({ AZURE_CLIENT_ID: 'client', AZURE_TENANT_ID: 'tenant', AZURE_FEDERATED_TOKEN_FILE: tokenFile });
    const provider = openAzureCredentials(
      { kind: 'default-chain' },
      { timeoutMs: LIMIT_MS, httpClient: httpClientOf(endpoint) },
    );
    expect(await settled(Promise.resolve(provider()))).toMatchObject({ code: 'internal' });
  });

  test('a request that waits for an Azure token ends with its signal', async () => {
    const { tokenFile } = await tokenService(silence);
    setEnv({ AZURE_CLIENT_ID: 'client', AZURE_TENANT_ID: 'tenant', AZURE_FEDERATED_TOKEN_FILE: tokenFile });
    const origin = openAzureOrigin({ ...azure('http://127.0.0.1:1'), credentials: { kind: 'default-chain' } });
    const stop = new AbortController();
    const pending = settled(ORIGIN_CALLS.head(origin, { signal: stop.signal }));
    setTimeout(() => stop.abort(new OrcaError('cancelled', 'the client left')), LIMIT_MS / 2);
    expect(await pending).toMatchObject({ code: 'cancelled' });
    await origin.close();
  });
});

describe.for(SILENCES)('Kubernetes, while a server %s', (silence) => {
  const open = async () => {
    const server = await startSilentServer(silence, HEAD);
    onTestFinished(() => server[Symbol.asyncDispose]());
    const agent = new Agent();
    onTestFinished(() => agent.destroy());
    const url = new URL(server.endpoint);
    const client = openKubeClient({
      url,
      namespace: undefined,
      authorize: async () => ({ headers: {}, agent }),
      forget: () => {},
    });
    return { client, port: Number(url.port) };
  };

  test.for(['GET', 'PATCH', 'POST', 'PUT', 'DELETE'] as const)('%s has a limit', async (method) => {
    const { client } = await open();
    const failure = await settled(client.request(method, '/api', { timeoutMs: LIMIT_MS }));
    expect(failure).toMatchObject({ reason: 'Timeout' });
  });

  test('a request and a watch end with their signals', async () => {
    const { client } = await open();
    const stop = new AbortController();
    const { signal } = stop;
    const watched = async (): Promise<void> => {
      for await (const _ of client.watch('/api', {}, { signal, silenceMs: 60_000 }));
    };
    const pending = Promise.all([settled(client.request('GET', '/api', { signal })), settled(watched())]);
    setTimeout(() => stop.abort(new Error('over')), LIMIT_MS / 2);
    expect(await pending).toMatchObject([
      { message: 'over' },
      silence === 'stops after a head'
        ? { message: expect.stringMatching(/206|over/) as unknown }
        : { message: 'over' },
    ]);
  });

  test('the probe of a pod has a limit', async () => {
    const { port } = await open();
    const { signal } = new AbortController();
    expect(await settled(openPodProbe(port)('127.0.0.1', signal))).toBeUndefined();
  });
});
