/** The operators' listener: probes, metrics, and a status page for machines. */
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import type { Registry } from 'prom-client';
import type { PeerView } from '#cache/engine/ports.ts';
import { openHttpListener, type HttpListener } from './connections.ts';
import type { Readiness } from './readiness.ts';

export interface OpsOptions {
  readonly registry: Registry;
  readonly readiness: Readiness;
  readonly peers: PeerView;
  readonly version: string;
  readonly configHash: string;
  readonly originId: string;
}

export function openOps(options: OpsOptions): HttpListener {
  const app = opsApp(options);
  // Global Request and Response stay Node's own: SDKs in this process use them too.
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  return openHttpListener((request, response) => void listener(request, response));
}

export function opsApp(options: OpsOptions): Hono {
  const { readiness, registry } = options;
  const app = new Hono();
  // The event loop answers: nothing more is asked of a process that would only be restarted for it.
  app.get('/livez', (c) => c.text('ok'));
  app.get('/readyz', (c) => {
    const ready = readiness.isReady();
    const lines = [...readiness.checks()].map(([name, { ok, message }]) => `[${ok ? '+' : '-'}] ${name}: ${message}`);
    const text = c.req.query('verbose') === undefined ? (ready ? 'ok' : 'not ready') : lines.join('\n');
    return c.text(`${text}\n`, ready ? 200 : 503);
  });
  app.get('/metrics', async (c) => c.body(await registry.metrics(), 200, { 'Content-Type': registry.contentType }));
  app.get('/status', (c) => {
    const { self, owners, terminating, epoch } = options.peers.current();
    const checks = Object.fromEntries(readiness.checks());
    return c.json({
      version: options.version,
      configHash: options.configHash,
      originId: options.originId,
      ready: readiness.isReady(),
      checks,
      peers: { self, owners, terminating, epoch, staleMs: options.peers.staleMs() },
    });
  });
  return app;
}
