/** The cache workload: `node cache/main.ts --config FILE` runs a cache until a signal. Also two helper commands. */
import { parseArgs } from 'node:util';
import { checkConfig } from '#cache/config/check.ts';
import type { Config } from '#cache/config/config.ts';
import { ConfigError, loadConfig } from '#cache/config/load.ts';
import { workerConfig } from '#cache/config/workers.ts';
import { CONFIG_EXIT_CODE, workerIdentity, type WorkerIdentity } from '#cache/workers/messages.ts';
import { systemClock } from '#shared/clock.ts';
import { openLifecycle } from '#shared/lifecycle.ts';
import { openLog } from '#shared/log.ts';
import { purge } from './purge.ts';

const USAGE = `usage: node cache/main.ts --config FILE
       node cache/main.ts check-config FILE
       node cache/main.ts purge BUCKET KEY... [--chunks] [--config FILE]   in the pod of a running cache
`;
/** The operator's mount path. */
const CONFIG_FILE = '/etc/orca/config.yaml';

const { values, positionals } = parseArgs({
  options: { config: { type: 'string' }, chunks: { type: 'boolean', default: false }, help: { type: 'boolean' } },
  allowPositionals: true,
});
if (positionals[0] === 'check-config' && positionals[1] !== undefined) {
  const { exitCode, output } = checkConfig(positionals[1], process.env);
  (exitCode === 0 ? process.stdout : process.stderr).write(output);
  process.exitCode = exitCode;
} else if (positionals[0] === 'purge' && positionals[1] !== undefined && positionals[2] !== undefined) {
  const [, bucket, ...keys] = positionals;
  process.exitCode = await purgeAll(configOrExit(values.config ?? CONFIG_FILE), bucket, keys, values.chunks);
} else if (values.config !== undefined && positionals.length === 0) {
  await run(configOrExit(values.config));
} else {
  (values.help === true ? process.stdout : process.stderr).write(USAGE);
  process.exitCode = values.help === true ? 0 : 2;
}

/** Ends at the first refusal. Resolves with the exit code. */
async function purgeAll(config: Config, bucket: string, keys: readonly string[], chunks: boolean): Promise<number> {
  let [deletedChunks, deletedBytes] = [0, 0];
  for (const key of keys) {
    const answer = await purge(config, { bucket, key, chunks });
    if (typeof answer === 'string') {
      process.stderr.write(`not purged: ${keys.length === 1 ? '' : `${key}: `}${answer}\n`);
      return 1;
    }
    deletedChunks += answer.deletedChunks;
    deletedBytes += answer.deletedBytes;
  }
  // `kubectl orca purge` counts on it: an older release purges the first key only, and prints nothing.
  process.stdout.write(`purged ${keys.length}\n`);
  if (chunks) process.stdout.write(`deleted ${deletedChunks} chunks, ${deletedBytes} bytes\n`);
  return 0;
}

function configOrExit(path: string): Config {
  try {
    return loadConfig(path, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(error.problems.map((line) => `${line}\n`).join(''));
    // The supervisor ends with it, instead of starting the worker again.
    process.exit(workerIdentity(process.env, process.send !== undefined) === undefined ? 1 : CONFIG_EXIT_CODE);
  }
}

/** One process that does everything, or several of them with this one as their parent. */
async function run(config: Config): Promise<void> {
  const worker = workerIdentity(process.env, process.send !== undefined);
  if (worker !== undefined) await runWorker(config, worker);
  else if (config.workers > 1) await runSupervisor(config);
  else await runAlone(config);
}

async function runAlone(config: Config): Promise<void> {
  const log = openLog({ name: 'orcacache', level: config.logLevel, format: config.logFormat });
  const { stopping } = openLifecycle(log);
  const { openCache } = await import('./app.ts');
  const cache = await openCache({ config, env: process.env, clock: systemClock, log, stopping });
  await aborted(stopping);
  await cache.shutDown();
  log.info('stopped');
  exit(cache.engine.store.hung?.count ?? 0);
}

async function runSupervisor(config: Config): Promise<void> {
  const log = openLog({ name: 'orcacache', level: config.logLevel, format: config.logFormat });
  const { stopping } = openLifecycle(log);
  const { supervise } = await import('./workers/supervisor.ts');
  const exitCode = await supervise({ config, env: process.env, clock: systemClock, log, stopping });
  log.info('stopped');
  process.exit(exitCode);
}

async function runWorker(whole: Config, { index, count }: WorkerIdentity): Promise<void> {
  const config = workerConfig({ ...whole, workers: count }, index);
  const log = openLog({
    name: 'orcacache',
    level: config.logLevel,
    format: config.logFormat,
    fields: { worker: index },
  });
  const lifecycle = openLifecycle(log);
  const { stopping } = lifecycle;
  const { openWorkerCache } = await import('./app.ts');
  const { serveSupervisor } = await import('./workers/worker.ts');
  const cache = await openWorkerCache({ config, env: process.env, clock: systemClock, log, stopping, worker: index });
  const supervisor = serveSupervisor(cache.opsApp, cache.registry, () => lifecycle.stop('the supervisor has ended'));
  supervisor.listening();
  void cache.serving.then(() => supervisor.ready());
  await aborted(stopping);
  await cache.shutDown();
  log.info('worker: stopped');
  exit(cache.engine.store.hung?.count ?? 0);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

function exit(hungOperations: number): void {
  // process.exit() waits for all threads, also for those whose file operations never return. A new program ends them.
  if (hungOperations > 0) process.execve?.(process.execPath, [process.execPath, '--eval', ''], {});
  // Idle sockets and timers must not delay the exit.
  process.exit(0);
}
