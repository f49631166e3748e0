/**
 * A real versitygw (an S3 server over a directory) on a free loopback port, for tests against a third-party server.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { S3ClientOptions } from '#cache/wire/s3/client.ts';
import { openRawClient, type RawResponse } from '#cache/wire/http1/raw-client.ts';
import { createSigner, encodeKey } from '#cache/wire/s3/sigv4.ts';
import { noteSecret } from './evidence.ts';
import { freePort } from '#hack/lab/free-ports.ts';
import { startServerProcess } from './server-process.ts';
import { findTool } from './tools.ts';

export interface Versitygw extends AsyncDisposable {
  /** `http://127.0.0.1:port`. */
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** What the drivers take: path style, credentials from this process' environment. */
  readonly client: S3ClientOptions;
  /** Where its files lie: `<directory>/<bucket>/<key>`. */
  readonly directory: string;
  createBucket(bucket: string): Promise<void>;
  putObject(bucket: string, key: string, body: Uint8Array | string, headers?: Record<string, string>): Promise<void>;
  deleteObject(bucket: string, key: string): Promise<void>;
  /** Needs `versioning`. */
  setVersioning(bucket: string, status: 'Enabled' | 'Suspended'): Promise<void>;
  /** Any signed request, for what the helpers above do not cover. */
  request(
    method: 'GET' | 'HEAD' | 'PUT' | 'DELETE',
    bucket: string,
    key: string,
    options?: RequestOptions,
  ): Promise<RawResponse>;
  /** Ends the process, keeps its files; `start` brings it back on the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface RequestOptions {
  /** Names and values must not need percent-encoding. */
  readonly query?: readonly (readonly [string, string])[];
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array | string;
}

export interface VersitygwOptions {
  readonly buckets?: readonly string[];
  /** Where its files go; default: a temporary directory that goes with it. */
  readonly directory?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** `racy`: one whose conditional writes of large bodies have several winners. */
  readonly kind?: VersitygwKind;
  /** Buckets can keep versions. */
  readonly versioning?: boolean;
  /** The size of its disk: a file system of its own, in its own mount namespace, which ends with the process. */
  readonly diskBytes?: number;
}

export type VersitygwKind = 'atomic' | 'racy';
const BINARY: Readonly<Record<VersitygwKind, string>> = { atomic: 'versitygw', racy: 'versitygw-racy' };

/** It starts within 100 ms, and much later on a busy machine. */
const START_TIMEOUT_MS = 20_000;
const ACCESS_KEY_ID = 'orcatest';
const SECRET_ACCESS_KEY = 'orcatest-secret';

/** The binary's path; undefined where it is not installed, for tests that are then skipped with a reason. */
export function findVersitygw(kind: VersitygwKind = 'atomic'): string | undefined {
  return findTool(BINARY[kind], kind === 'atomic' ? 'ORCA_VERSITYGW' : 'ORCA_VERSITYGW_RACY');
}

export async function startVersitygw(options: VersitygwOptions = {}): Promise<Versitygw> {
  const { kind = 'atomic' } = options;
  const binary = findVersitygw(kind);
  if (binary === undefined) throw new Error(`no ${BINARY[kind]}: run hack/tools store faults`);
  noteSecret('the secret access key of the S3 server', SECRET_ACCESS_KEY);
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'orca-versitygw-')));
  // Not below the other, whose directories are buckets.
  const versionsDirectory = `${directory}-versions`;
  if (options.versioning === true) await mkdir(versionsDirectory, { recursive: true });
  const port = options.port ?? (await freePort());
  const endpoint = `http://127.0.0.1:${port}`;
  const raw = openRawClient({ endpoint });
  const signer = createSigner('us-east-1');
  let stopRunning: (() => Promise<void>) | undefined;

  const start = async (): Promise<void> => {
    // Keep-alive is off by default there, and every real store has it.
    const args = [
      '-a',
      ACCESS_KEY_ID,
      '-s',
      SECRET_ACCESS_KEY,
      '--port',
      `127.0.0.1:${port}`,
      '--quiet',
      '--keep-alive',
    ];
    const posix = ['posix', ...(options.versioning === true ? ['--versioning-dir', versionsDirectory] : []), directory];
    const command = onDisk(options.diskBytes, directory, [binary, ...args, ...posix]);
    stopRunning = await startServerProcess({
      name: BINARY[kind],
      program: command[0] ?? '',
      parameters: command.slice(1),
      async ping() {
        const { status } = await request('GET', '', '');
        if (status !== 200) throw new Error(`status ${status}`);
      },
      pollMs: 20,
      startTimeoutMs: START_TIMEOUT_MS,
    });
  };
  const request: Versitygw['request'] = async (method, bucket, key, { query = [], headers = {}, body } = {}) => {
    const path = bucket === '' ? '/' : `/${bucket}${key === '' ? '' : `/${encodeKey(key)}`}`;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const signed = signer.sign({
      method,
      path,
      query,
      headers: {
        host: raw.authority,
        ...(method === 'PUT' && { 'content-length': String(bytes?.length ?? 0) }),
        ...headers,
      },
      credentials: { accessKeyId: ACCESS_KEY_ID, secretAccessKey: SECRET_ACCESS_KEY },
      nowMs: Date.now(),
    });
    return raw.request({
      method,
      path: query.length === 0 ? path : `${path}?${query.map(([name, value]) => `${name}=${value}`).join('&')}`,
      headers: signed,
      body: bytes && [bytes],
      signal: AbortSignal.timeout(START_TIMEOUT_MS),
    });
  };
  const expectOk = async (answer: Promise<RawResponse>, what: string): Promise<void> => {
    const { status, body } = await answer;
    if (status >= 300) throw new Error(`${what}: ${status} ${String(body)}`);
  };
  const gateway: Versitygw = {
    endpoint,
    accessKeyId: ACCESS_KEY_ID,
    secretAccessKey: SECRET_ACCESS_KEY,
    directory,
    client: {
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      caFile: '',
      credentials: {
        kind: 'env',
        accessKeyIdVar: 'ORCA_TEST_ACCESS_KEY_ID',
        secretAccessKeyVar: 'ORCA_TEST_SECRET_ACCESS_KEY',
      },
    },
    request,
    createBucket: (bucket) => expectOk(request('PUT', bucket, ''), `create bucket ${bucket}`),
    putObject: (bucket, key, body, headers = {}) =>
      expectOk(request('PUT', bucket, key, { headers, body }), `put ${bucket}/${key}`),
    deleteObject: (bucket, key) => expectOk(request('DELETE', bucket, key), `delete ${bucket}/${key}`),
    setVersioning: (bucket, status) =>
      expectOk(
        request('PUT', bucket, '', {
          query: [['versioning', '']],
          body: `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`,
        }),
        `versioning of ${bucket}`,
      ),
    start,
    async stop() {
      await stopRunning?.();
    },
    async [Symbol.asyncDispose]() {
      await stopRunning?.();
      raw.close();
      if (options.directory === undefined)
        for (const each of [directory, versionsDirectory]) await rm(each, { recursive: true, force: true });
    },
  };
  process.env['ORCA_TEST_ACCESS_KEY_ID'] = ACCESS_KEY_ID;
  process.env['ORCA_TEST_SECRET_ACCESS_KEY'] = SECRET_ACCESS_KEY;
  try {
    await start();
    for (const bucket of options.buckets ?? []) await gateway.createBucket(bucket);
  } catch (error) {
    await gateway[Symbol.asyncDispose]();
    throw error;
  }
  return gateway;
}

/** Runs in a mount namespace of its own; as root of a user namespace if this user may not mount. */
function onDisk(diskBytes: number | undefined, directory: string, command: readonly string[]): readonly string[] {
  if (diskBytes === undefined) return command;
  const who = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const mount = `mount -t tmpfs -o size=${diskBytes} tmpfs "$0" && exec "$@"`;
  return ['unshare', '--mount', ...who, 'sh', '-c', mount, directory, ...command];
}
