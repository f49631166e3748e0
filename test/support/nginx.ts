/** A real nginx that serves a temporary directory on loopback, as a plain HTTP origin. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { openRawClient } from '#cache/wire/http1/raw-client.ts';
import { freePort } from '#hack/lab/free-ports.ts';
import { startServerProcess } from './server-process.ts';
import { TEST_CERTIFICATE, TEST_KEY } from './tls-fixture.ts';
import { findTool } from './tools.ts';

export interface Nginx extends AsyncDisposable {
  /** `http://127.0.0.1:port`. */
  readonly endpoint: string;
  /** `https://localhost:port`, with the certificate of the TLS fixture. */
  readonly tlsEndpoint: string;
  /** Files at `/objects/`; the same files with a password at `/private/`, and by a redirect at `/moved/`. */
  put(key: string, body: Uint8Array): Promise<void>;
  remove(key: string): Promise<void>;
  /** Ends the process and keeps its files; `start` starts it again on the same ports. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export const NGINX_USER = 'reader';
export const NGINX_PASSWORD = 'the password of the reader';
const START_TIMEOUT_MS = 20_000;
const POLL_MS = 20;
/** The time of the first file. Each later file is a second newer, because nginx derives its ETags from second and size. */
const FIRST_MTIME_SECONDS = Date.UTC(2024, 0, 1) / 1000;

export async function startNginx(): Promise<Nginx> {
  const program = findTool('nginx', 'ORCA_NGINX');
  if (program === undefined) throw new Error('nginx is missing: run hack/tools, or name its binary in ORCA_NGINX');
  const directory = await mkdtemp(join(tmpdir(), 'orca-nginx-'));
  const files = join(directory, 'objects');
  await mkdir(files);
  const [port, tlsPort] = [await freePort(), await freePort()];
  const config = join(directory, 'nginx.conf');
  const sha = createHash('sha1').update(NGINX_PASSWORD).digest('base64');
  await writeFile(join(directory, 'users'), `${NGINX_USER}:{SHA}${sha}\n`);
  await writeFile(join(directory, 'tls.crt'), TEST_CERTIFICATE);
  await writeFile(join(directory, 'tls.key'), TEST_KEY);
  await writeFile(config, configFor(directory, port, tlsPort));
  const endpoint = `http://127.0.0.1:${port}`;
  let stopRunning: (() => Promise<void>) | undefined;
  let mtimeSeconds = FIRST_MTIME_SECONDS;

  const start = async (): Promise<void> => {
    stopRunning = await startServerProcess({
      name: 'nginx',
      program,
      parameters: ['-c', config, '-p', directory, '-e', join(directory, 'error.log')],
      ping: () => ping(endpoint),
      pollMs: POLL_MS,
      startTimeoutMs: START_TIMEOUT_MS,
    });
  };
  const stop = async (): Promise<void> => {
    await stopRunning?.();
    stopRunning = undefined;
  };
  await start();
  return {
    endpoint,
    tlsEndpoint: `https://localhost:${tlsPort}`,
    async put(key, body) {
      const path = join(files, key);
      await mkdir(dirname(path), { recursive: true });
      const draft = join(directory, 'draft');
      await writeFile(draft, body);
      mtimeSeconds += 1;
      await utimes(draft, mtimeSeconds, mtimeSeconds);
      await rename(draft, path);
    },
    remove: (key) => rm(join(files, key)),
    stop,
    start,
    async [Symbol.asyncDispose]() {
      await stop();
      await rm(directory, { recursive: true });
    },
  };
}

async function ping(endpoint: string): Promise<void> {
  const client = openRawClient({ endpoint });
  try {
    await client.request({ path: '/', headers: {}, signal: AbortSignal.timeout(START_TIMEOUT_MS) });
  } finally {
    client.close();
  }
}

function configFor(directory: string, port: number, tlsPort: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join(' ');
  // The workers of a master that runs as root could not read the directory otherwise.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `daemon off; ${user} worker_processes 1; pid ${directory}/nginx.pid;
events { worker_connections 256; }
http {
  access_log off; ${temporary}
  types {} default_type text/x-test;
  server {
    listen 127.0.0.1:${port};
    listen 127.0.0.1:${tlsPort} ssl;
    ssl_certificate ${directory}/tls.crt; ssl_certificate_key ${directory}/tls.key;
    root ${directory};
    location /objects/ { add_header Cache-Control max-age=60; add_header X-Amz-Meta-Owner me; }
    location /private/ { alias ${directory}/objects/; auth_basic files; auth_basic_user_file ${directory}/users; }
    location /moved/ { rewrite ^/moved/(.*)$ /objects/$1 redirect; }
    location / { return 404; }
  }
}
`;
}
