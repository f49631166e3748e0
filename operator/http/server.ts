/** The operator's two HTTP listeners: probes and metrics. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface OpenServer {
  readonly port: number;
  close(): Promise<void>;
}

type Routes = Readonly<Record<string, (response: ServerResponse) => Promise<void> | void>>;

/** Probes and scrapes are short; slower requests are closed. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Enough for the kubelet, Prometheus and a few users. */
const MAX_CONNECTIONS = 64;

/** `healthy` and `ready` return the problem; undefined = none. */
export function openProbes(
  port: number,
  healthy: () => string | undefined,
  ready: () => string | undefined,
): Promise<OpenServer> {
  const probe = (check: () => string | undefined) => (response: ServerResponse) => {
    const problem = check();
    response.writeHead(problem === undefined ? 200 : 503, { 'content-type': 'text/plain' }).end(`${problem ?? 'ok'}\n`);
  };
  return open(port, { '/healthz': probe(healthy), '/readyz': probe(ready) });
}

export function openMetricsServer(port: number, registry: Registry): Promise<OpenServer> {
  return open(port, {
    '/metrics': async (response) => {
      const text = await registry.metrics();
      response.writeHead(200, { 'content-type': registry.contentType }).end(text);
    },
  });
}

async function open(port: number, routes: Routes): Promise<OpenServer> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    const route = routes[(request.url ?? '').split('?')[0] ?? ''];
    if (route === undefined) {
      response.writeHead(404).end();
      return;
    }
    Promise.resolve(route(response)).catch((error: unknown) => {
      // A gauge could not be read: the scrape fails with the error.
      response.writeHead(500, { 'content-type': 'text/plain' }).end(`${String(error)}\n`);
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, port);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
