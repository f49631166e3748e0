/** A worker's end of the channel to its supervisor: it serves its ops API, and reports the progress of its start. */
import type { Hono } from 'hono';
import type { Registry } from 'prom-client';
import { asOrcaError } from '#cache/core/errors.ts';
import { WORKER_METRICS_PATH, type FromWorker, type OpsAnswer, type OpsRequest, type ToWorker } from './messages.ts';
import { metricsJson } from './merge-metrics.ts';

/** The part of `process` that this uses; tests replace it. */
export interface WorkerHost {
  readonly connected?: boolean;
  send?(message: FromWorker): boolean;
  on(event: string, listener: (message: ToWorker) => void): unknown;
}

export interface SupervisorChannel {
  listening(): void;
  ready(): void;
}

/** `onDisconnect` is called when the supervisor has ended. */
export function serveSupervisor(
  app: Hono,
  registry: Registry,
  onDisconnect: () => void,
  host: WorkerHost = process,
): SupervisorChannel {
  const send = (message: FromWorker): void => {
    if (host.connected === true) host.send?.(message);
  };
  host.on('message', (message) => {
    void answerOf(app, registry, message).then((answer) => send({ type: 'answer', id: message.id, ...answer }));
  });
  host.on('disconnect', onDisconnect);
  if (host.connected !== true) onDisconnect();
  return { listening: () => send({ type: 'listening' }), ready: () => send({ type: 'ready' }) };
}

async function answerOf(app: Hono, registry: Registry, request: OpsRequest): Promise<OpsAnswer> {
  try {
    if (request.path === WORKER_METRICS_PATH)
      return { status: 200, headers: {}, body: JSON.stringify(await metricsJson(registry)) };
    const { method, path, headers } = request;
    const response = await app.request(path, { method, headers: { ...headers } });
    return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
  } catch (error) {
    return { status: 500, headers: {}, body: `${asOrcaError(error, 'internal', 'unexpected').message}\n` };
  }
}
