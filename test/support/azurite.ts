/**
 * A real Azurite (Azure's own emulator of Blob Storage) on a free loopback port, with everything in its memory. Found
 * through ORCA_AZURITE, PATH, or the tools' cache. The tests note where it differs from the real service.
 */
import { createHash } from 'node:crypto';
import { globSync, realpathSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { openAzureClient, type AzureClientOptions, type AzureRequest } from '#cache/wire/azure/client.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import { noteSecret } from './evidence.ts';
import { freePort } from '#hack/lab/free-ports.ts';
import { startServerProcess } from './server-process.ts';

export interface Azurite extends AsyncDisposable {
  /** `http://127.0.0.1:port/account`. */
  readonly endpoint: string;
  readonly account: string;
  readonly accountKey: string;
  /** What the drivers take: the account key from this process' environment. */
  readonly client: AzureClientOptions;
  createContainer(container: string): Promise<void>;
  /** S3's names of headers, as the suites have them: `x-amz-meta-*` become the blob's metadata. */
  putBlob(container: string, name: string, body: Uint8Array | string, headers?: Record<string, string>): Promise<void>;
  deleteBlob(container: string, name: string): Promise<void>;
  /** Any signed request, for what the helpers above do not cover. */
  request(request: AzureRequest): Promise<RawResponse>;
  /** Ends the process and forgets what it had; `start` brings an empty one back on the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** It loads a thousand files, which takes a second on an idle machine, and up to a minute on a busy one. */
const START_TIMEOUT_MS = 120_000;
/** The timeout for a hook that starts Azurite and other servers. */
export const AZURITE_HOOK_MS = 180_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** The account that Azurite publishes; it has no other without configuration. */
const ACCOUNT = 'devstoreaccount1';
const ACCOUNT_KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
const KEY_VARIABLE = 'ORCA_TEST_ACCOUNT_KEY';

/** The script's path; undefined where Azurite is not installed. */
function findAzurite(): string | undefined {
  const cache = process.env['ORCACACHE_CACHE_DIR'] ?? join(homedir(), '.cache', 'orcacache');
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  const [found] = [
    ...(process.env['ORCA_AZURITE'] === undefined ? [] : [process.env['ORCA_AZURITE']]),
    ...globSync(directories.map((directory) => join(directory, 'azurite-blob'))),
    ...globSync(join(cache, 'items', 'azurite', '*', 'bin', 'azurite-blob')),
  ];
  return found === undefined ? undefined : realpathSync(found);
}

export async function startAzurite(options: { readonly containers?: readonly string[] } = {}): Promise<Azurite> {
  const script = findAzurite();
  if (script === undefined) throw new Error('no Azurite: run hack/tools, or name its azurite-blob in ORCA_AZURITE');
  const directory = await mkdtemp(join(tmpdir(), 'orca-azurite-'));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}/${ACCOUNT}`;
  process.env[KEY_VARIABLE] = ACCOUNT_KEY;
  noteSecret('the account key of the Azure server', ACCOUNT_KEY);
  const clientOptions: AzureClientOptions = {
    account: ACCOUNT,
    endpoint,
    caFile: '',
    credentials: { kind: 'env', accountKeyVar: KEY_VARIABLE },
  };
  const client = openAzureClient(clientOptions);
  let stopRunning: (() => Promise<void>) | undefined;

  const request = (wanted: AzureRequest): Promise<RawResponse> =>
    client.send(wanted, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
  const start = async (): Promise<void> => {
    stopRunning = await startServerProcess({
      name: 'Azurite',
      // `npx azurite-blob` forks: this is the process itself.
      program: process.execPath,
      parameters: [
        script,
        '--inMemoryPersistence',
        '--disableTelemetry',
        '--skipApiVersionCheck',
        '--silent',
        '--blobHost',
        '127.0.0.1',
        '--blobPort',
        String(port),
      ],
      cwd: directory,
      async ping() {
        const { status } = await request({ method: 'GET', container: '', query: [['comp', 'list']] });
        if (status !== 200) throw new Error(`status ${status}`);
      },
      pollMs: 50,
      startTimeoutMs: START_TIMEOUT_MS,
    });
  };
  const expectOk = async (wanted: AzureRequest): Promise<void> => {
    const { status, body } = await request(wanted);
    if (status >= 300)
      throw new Error(`${wanted.method} ${wanted.container}/${wanted.blob ?? ''}: ${status} ${String(body)}`);
  };
  const azurite: Azurite = {
    endpoint,
    account: ACCOUNT,
    accountKey: ACCOUNT_KEY,
    client: clientOptions,
    request,
    createContainer: (container) =>
      expectOk({ method: 'PUT', container, query: [['restype', 'container']], headers: { 'content-length': '0' } }),
    putBlob(container, name, body, headers = {}) {
      const bytes = Buffer.from(body);
      const words = Object.entries(headers).map(([header, value]) => [
        header
          .replace(/^x-amz-meta-/, 'x-ms-meta-')
          .replace(/^(cache-control|content-(?:type|encoding|language|disposition))$/, 'x-ms-blob-$1'),
        value,
      ]);
      return expectOk({
        method: 'PUT',
        container,
        blob: name,
        headers: {
          'content-length': String(bytes.length),
          'content-md5': createHash('md5').update(bytes).digest('base64'),
          'x-ms-blob-type': 'BlockBlob',
          ...Object.fromEntries(words),
        },
        body: [bytes],
      });
    },
    deleteBlob: (container, name) => expectOk({ method: 'DELETE', container, blob: name }),
    start,
    async stop() {
      await stopRunning?.();
    },
    async [Symbol.asyncDispose]() {
      await stopRunning?.();
      client.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
  try {
    await start();
    for (const container of options.containers ?? []) await azurite.createContainer(container);
  } catch (error) {
    await azurite[Symbol.asyncDispose]();
    throw error;
  }
  return azurite;
}
