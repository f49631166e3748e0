/** Two small listeners: probes and metrics. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface OpenServer {
  readonly port: number;
  close(): Promise<void>;
}

type Routes = Readonly<Record<string, (response: ServerResponse) => Promise<void> | void>>;

/** Probes and scrapes are short; whoever holds a connection longer is cut. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Kubelet, Prometheus and a person or two. */
const MAX_CONNECTIONS = 64;

/** `healthy` and `ready` say what is wrong; undefined = nothing. */
export function openProbes(
  port: number,
  healthy: () => string | undefined,
  ready: () => string | undefined,
): Promise<OpenServer> {
  const probe = (check: () => string | undefined) => (response: ServerResponse) => {
    const wrong = check();
    response.writeHead(wrong === undefined ? 200 : 503, { 'content-type': 'text/plain' }).end(`${wrong ?? 'ok'}\n`);
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
      // A gauge that can't be read: the scrape fails, and says which.
      response.writeHead(500, { 'content-type': 'text/plain' }).end(`${String(error)}\n`);
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  await listening(server, port);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listening(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
