/**
 * The parent of several workers: starts them and starts them again, owns the ops listener, and ends with them. It is not
 * on the path of any read.
 */
import { fork } from 'node:child_process';
import { getRequestListener } from '@hono/node-server';
import { Registry, collectDefaultMetrics } from 'prom-client';
import type { Config } from '#cache/config/config.ts';
import { watchRuntime } from '#cache/config/runtime.ts';
import { openHttpListener, type HttpListener } from '#cache/http/listener/http-listener.ts';
import { watchWorkers } from '#cache/http/worker-metrics.ts';
import packageJson from '#package' with { type: 'json' };
import type { Clock } from '#shared/clock.ts';
import type { RootLog } from '#shared/log.ts';
import { MetricMemory } from './merge-metrics.ts';
import { WORKER_VARIABLE } from './messages.ts';
import { supervisorApp } from './ops-app.ts';
import { openWorkerSlot, WorkerStartError, type ForkedProcess, type WorkerSlot } from './worker-slot.ts';

/** As of one worker's own ops listener. */
const MAX_CONNECTIONS = 256;
/**
 * What the steps of a worker's shutdown take beside the configured times: 10 s for the outbox, 2 s each for peers and
 * closing. A second later Kubernetes kills the whole container.
 */
const SHUTDOWN_EXTRA_MS = 14_000;
const CLOSE_TIMEOUT_MS = 2_000;

export interface SupervisorOptions {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: RootLog;
  /** Aborts when the process receives a signal to stop. */
  readonly stopping: AbortSignal;
  /** For tests. */
  readonly forkWorker?: (index: number, count: number) => ForkedProcess;
}

/** Resolves with the exit code, when all workers have ended. Rejects if the ops listener cannot be opened. */
export async function supervise(options: SupervisorOptions): Promise<0 | 1> {
  const { config, env, clock, log, stopping, forkWorker = forkMain } = options;
  const failed = new AbortController();
  const ending = AbortSignal.any([stopping, failed.signal]);
  const memory = new MetricMemory();
  const listening = new Set<number>();
  const onListening = (index: number): void => {
    if (listening.size === config.workers) return;
    listening.add(index);
    if (listening.size === config.workers) logListening(config, log, opsPort);
  };
  const slots = Array.from({ length: config.workers }, (_, index) =>
    openWorkerSlot({
      index,
      fork: () => forkWorker(index, config.workers),
      clock,
      log,
      onListening,
      onExit: (ended) => void memory.endOf(ended),
    }),
  );
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  watchWorkers(registry, slots);
  const ops = openOps(supervisorApp({ slots, registry, memory, isStopping: () => ending.aborted }));
  const opsPort = await ops.listen(config.listen.ops.host, config.listen.ops.port);

  const closing = new AbortController();
  // The workers report the problems of the file.
  const following = watchRuntime({
    config,
    env,
    clock,
    signal: closing.signal,
    onChange: ({ logLevel }) => log.setLevel(logLevel),
    onProblems: () => {},
  });
  const cancelKill = killWhenLate(slots, options, ending);
  const outcomes = await Promise.all(
    slots.map(async (slot) => {
      try {
        await slot.run(ending);
        return true;
      } catch (error) {
        const isStart = error instanceof WorkerStartError;
        log.error(isStart ? error.message : 'worker: its supervision failed', isStart ? {} : { error });
        failed.abort(error);
        return false;
      }
    }),
  );
  cancelKill();
  closing.abort();
  await following;
  await ops.drain(AbortSignal.timeout(CLOSE_TIMEOUT_MS));
  return outcomes.every(Boolean) ? 0 : 1;
}

/** The same program with the same arguments, output and environment. */
function forkMain(index: number, count: number): ForkedProcess {
  const [, main = '', ...args] = process.argv;
  return fork(main, args, { env: { ...process.env, [WORKER_VARIABLE]: `${index}/${count}` } });
}

function openOps(app: ReturnType<typeof supervisorApp>): HttpListener {
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  return openHttpListener((request, response) => void listener(request, response), { maxConnections: MAX_CONNECTIONS });
}

/** The same line as that of a process without workers. */
function logListening({ listen, workers, hash, origin }: Config, log: RootLog, ops: number): void {
  const ports = { edge: listen.edge.port, peer: listen.peer.port, ops };
  log.info('listening', { ports, workers, version: packageJson.version, configHash: hash, origin: origin.id });
}

/** Each step of a worker's shutdown is bounded; this is for a worker that does not run. */
function killWhenLate(slots: readonly WorkerSlot[], { config, clock, log }: SupervisorOptions, ending: AbortSignal) {
  const { propagationDelayMs, drainTimeoutMs } = config.shutdown;
  let cancel = () => {};
  const start = () => {
    cancel = clock.after(propagationDelayMs + drainTimeoutMs + SHUTDOWN_EXTRA_MS, () => {
      for (const slot of slots) {
        if (slot.pid() === undefined) continue;
        log.error('worker: has not ended in time; it is killed', { worker: slot.index, pid: slot.pid() });
        slot.kill('SIGKILL');
      }
    });
  };
  ending.addEventListener('abort', start, { once: true });
  return () => {
    ending.removeEventListener('abort', start);
    cancel();
  };
}
