/** An nginx slice cache for comparison: what C and sendfile achieve on this machine. */
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '#hack/lab/free-ports.ts';
import { childrenOf, startChild, waitForReady, type Child } from './child.ts';

export interface NginxTarget extends AsyncDisposable {
  readonly url: string;
  /** The master and its workers. */
  readonly pids: readonly number[];
}

const START_TIMEOUT_MS = 10_000;

export async function startNginx(binary: string, folder: string, originUrl: string): Promise<NginxTarget> {
  const port = await freePort();
  const cache = join(folder, 'nginx');
  await mkdir(cache, { recursive: true });
  const config = join(folder, 'nginx.conf');
  await writeFile(config, configFor(port, folder, new URL(originUrl).host));
  const child = startChild(binary, ['-c', config, '-p', folder, '-e', join(folder, 'nginx-error.log')]);
  const url = `http://127.0.0.1:${port}`;
  try {
    await waitForReady('nginx', url, child, START_TIMEOUT_MS);
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw error;
  }
  return { url, pids: [child.pid, ...workersOf(child)], [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}

/** The workers, without the cache loader, which exits after a minute. */
function workersOf({ pid }: Child): number[] {
  return childrenOf(pid).filter((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('worker process'));
}

/** Slices have the size of the default chunks; a lock allows one fill of each at a time. */
function configFor(port: number, folder: string, origin: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/nginx-${name};`)
    .join(' ');
  return `daemon off; user root; worker_processes 2; pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off; default_type application/octet-stream; ${temporary}
  # No tcp_nopush: small ranges would wait for an ACK.
  sendfile on; sendfile_max_chunk 1m; tcp_nopush off; tcp_nodelay on; keepalive_requests 1000000000;
  proxy_cache_path ${folder}/nginx levels=1:2 keys_zone=slices:32m max_size=8g inactive=1h use_temp_path=off;
  upstream origin { server ${origin}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location = /-/ready { return 204; }
    location / {
      slice 8m;
      proxy_cache slices; proxy_cache_key $uri$slice_range; proxy_cache_valid 200 206 1h;
      proxy_cache_lock on; proxy_cache_lock_timeout 60s; proxy_cache_lock_age 60s;
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Range $slice_range;
      proxy_buffer_size 64k; proxy_buffers 16 256k; proxy_busy_buffers_size 512k;
      proxy_pass http://origin;
    }
  }
}
`;
}
