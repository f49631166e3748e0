/** The ops API of a pod with several workers: asks them, and answers as one replica. */
import { Hono, type Context } from 'hono';
import type { Registry } from 'prom-client';
import { PREWARMS_PATH, MAX_REPORTS, type PrewarmReport } from '#shared/prewarm-report.ts';
import { mergeChunks, mergeReads, mergeTop } from './merge-answers.ts';
import { mergeMetrics, metricsJson, type MetricJson, type MetricMemory } from './merge-metrics.ts';
import { mergeStatus, type WorkerStatus } from './merge-status.ts';
import { WORKER_METRICS_PATH, type OpsAnswer } from './messages.ts';
import type { WorkerSlot } from './worker-slot.ts';

/** What is in memory is answered at once; the kubelet and Prometheus wait for a few seconds. */
const TIMEOUT_MS = 2_000;
/** `/objects`, `/pins` and `/store` query the cachestore, for up to 30 s; a purge of chunks takes up to two minutes. */
const STORE_TIMEOUT_MS = 32_000;
const PURGE_TIMEOUT_MS = 122_000;

export interface OpsAppOptions {
  readonly slots: readonly WorkerSlot[];
  /** The supervisor's own metrics. */
  readonly registry: Registry;
  readonly memory: MetricMemory;
  readonly isStopping: () => boolean;
}

export function supervisorApp(options: OpsAppOptions): Hono {
  const { slots } = options;
  const app = new Hono();
  app.get('/livez', (c) => {
    const stuck = slots.filter((slot) => slot.isStuck());
    if (stuck.length === 0) return c.text('ok');
    return c.text(`worker ${stuck.map(({ index }) => index).join(', ')} does not respond, nor end\n`, 503);
  });
  app.get('/readyz', (c) => readyz(options, c));
  app.get('/metrics', async (c) => {
    await collectMetrics(options);
    const merged = mergeMetrics([...options.memory.all(), await metricsJson(options.registry)]);
    return c.body(await merged.metrics(), 200, { 'Content-Type': merged.contentType });
  });
  app.get('/status', (c) => statusOf(options, c));
  app.get('/top', mergedHandler(slots, TIMEOUT_MS, mergeTop));
  app.get('/reads', mergedHandler(slots, TIMEOUT_MS, mergeReads));
  app.get(
    PREWARMS_PATH,
    mergedHandler(slots, TIMEOUT_MS, (all: readonly { readonly prewarms: readonly PrewarmReport[] }[]) => ({
      prewarms: all.flatMap(({ prewarms }) => prewarms).slice(0, MAX_REPORTS),
    })),
  );
  const ofObject = mergedHandler(slots, STORE_TIMEOUT_MS, mergeChunks, (path) => `${path}&stored=false`);
  app.get('/objects', (c) => ((c.req.query('key') ?? '') === '' ? forward(slots, c, STORE_TIMEOUT_MS) : ofObject(c)));
  app.all('*', (c) => forward(slots, c, c.req.method === 'POST' ? PURGE_TIMEOUT_MS : STORE_TIMEOUT_MS));
  return app;
}

/** A worker that was ready before, and is started again, does not count: its edge port is closed. */
async function readyz({ slots, isStopping }: OpsAppOptions, c: Context): Promise<Response> {
  const path = '/readyz?verbose';
  const counted = slots.filter((slot) => slot.state() === 'running');
  const answers = await askEach(counted, { method: 'GET', path, headers: {} }, TIMEOUT_MS);
  const lines = slots.flatMap((slot) => {
    const { index } = slot;
    if (!counted.includes(slot)) return [`[-] worker ${index}: ${slot.state()}`];
    const answer = answers.get(index);
    const checks = answer?.body.trimEnd().split('\n') ?? ['[-] worker: does not respond'];
    return checks.map((line) => line.replace(/^(\[.\]) /, `$1 worker ${index} `));
  });
  const isReady =
    !isStopping() &&
    counted.length > 0 &&
    counted.every(({ index }) => answers.get(index)?.status === 200) &&
    slots.every((slot) => ['running', 'restarting'].includes(slot.state()));
  const text = c.req.query('verbose') === undefined ? (isReady ? 'ok' : 'not ready') : lines.join('\n');
  return c.text(`${text}\n`, isReady ? 200 : 503);
}

async function statusOf({ slots, isStopping }: OpsAppOptions, c: Context): Promise<Response> {
  const answers = await askEach(answering(slots), { method: 'GET', path: '/status', headers: {} }, TIMEOUT_MS);
  const statuses = new Map([...answers].map(([index, { body }]) => [index, JSON.parse(body) as WorkerStatus]));
  const [first, ...others] = statuses.values();
  if (first === undefined) return c.text('no worker answers\n', 503);
  const merged = mergeStatus([first, ...others]);
  const running = slots.filter((slot) => slot.state() === 'running');
  return c.json({
    ...merged,
    ready: !isStopping() && running.length > 0 && running.every(({ index }) => statuses.get(index)?.ready === true),
    workers: slots.map((slot) => ({
      index: slot.index,
      pid: slot.pid() ?? null,
      state: slot.state(),
      restarts: slot.restarts(),
      ready: statuses.get(slot.index)?.ready ?? false,
      self: statuses.get(slot.index)?.peers.self ?? null,
    })),
  });
}

/** A worker that does not answer counts with its last metrics. */
async function collectMetrics({ slots, memory }: OpsAppOptions): Promise<void> {
  const request = { method: 'GET', path: WORKER_METRICS_PATH, headers: {} };
  for (const [index, { status, body }] of await askEach(answering(slots), request, TIMEOUT_MS))
    if (status === 200) memory.record(index, JSON.parse(body) as MetricJson[]);
}

type Merge<T> = (answers: readonly [T, ...T[]]) => unknown;

/** Merges the answers with status 200; without one, passes on the first answer. `others`: the path for all but one. */
function mergedHandler<T>(
  slots: readonly WorkerSlot[],
  timeoutMs: number,
  merge: Merge<T>,
  others: (path: string) => string = (path) => path,
): (c: Context) => Promise<Response> {
  return async (c) => {
    const [one, ...more] = answering(slots);
    if (one === undefined) return noWorker();
    const request = requestOf(c);
    const answers = [
      ...(await askEach([one], request, timeoutMs)).values(),
      ...(await askEach(more, { ...request, path: others(request.path) }, timeoutMs)).values(),
    ];
    const [first, ...rest] = answers.filter(({ status }) => status === 200).map(({ body }) => JSON.parse(body) as T);
    if (first !== undefined) return c.json(merge([first, ...rest]) as object);
    return answers[0] === undefined ? noWorker() : responseOf(answers[0]);
  };
}

/** Passes a request to the first worker, whose response holds for the whole cache. */
async function forward(slots: readonly WorkerSlot[], c: Context, timeoutMs: number): Promise<Response> {
  const [slot] = answering(slots);
  if (slot === undefined) return noWorker();
  try {
    return responseOf(await slot.ask(requestOf(c), timeoutMs));
  } catch (error) {
    return new Response(`worker ${slot.index}: ${error instanceof Error ? error.message : 'unexpected'}\n`, {
      status: 503,
    });
  }
}

/** Ready ones first, so that a worker that has just been started again is used only if it is the only one. */
function answering(slots: readonly WorkerSlot[]): WorkerSlot[] {
  const inState = (...states: readonly string[]) => slots.filter((slot) => states.includes(slot.state()));
  const running = inState('running', 'stopping');
  return running.length > 0 ? running : inState('starting', 'restarting');
}

/** The answers by worker; those that fail are left out. */
async function askEach(
  slots: readonly WorkerSlot[],
  request: Parameters<WorkerSlot['ask']>[0],
  timeoutMs: number,
): Promise<ReadonlyMap<number, OpsAnswer>> {
  const answers = await Promise.all(
    slots.map(async (slot) => [slot.index, await slot.ask(request, timeoutMs).catch(() => undefined)] as const),
  );
  return new Map(answers.flatMap(([index, answer]) => (answer === undefined ? [] : [[index, answer] as const])));
}

function requestOf(c: Context): Parameters<WorkerSlot['ask']>[0] {
  const { pathname, search } = new URL(c.req.url);
  return { method: c.req.method, path: pathname + search, headers: Object.fromEntries(c.req.raw.headers) };
}

function responseOf({ status, headers, body }: OpsAnswer): Response {
  return new Response(status === 204 ? null : body, { status, headers: { ...headers } });
}

function noWorker(): Response {
  return new Response('no worker answers\n', { status: 503 });
}
