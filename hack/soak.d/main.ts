/**
 * The soak test: `node hack/soak.d/main.ts [--minutes N] [--seed S] [--capacity SIZE] [--workers N]`. Each minute consists of load with faults, and a
 * pause without requests, in which the replicas must release their resources. Resource use in the pauses must not grow.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { randomOf, type Random } from '#test/simulation/random.ts';
import { MAX_WORKERS } from '#crds/names.ts';
import { parseQuantity } from '#crds/quantity.ts';
import { table } from '#hack/demo.d/table.ts';
import { count, openClient, type Counts } from './client.ts';
import { BUCKET, startEnvironment, type SoakEnvironment } from './environment.ts';
import { runFaults } from './faults.ts';
import { growth, warmMinute, type Minute } from './growth.ts';
import { runLoad, WARM } from './load.ts';

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;
/** Longer than the idle timeout of connections to peers, store and origin, and than the rest of an abandoned fill. */
const PAUSE_MS = 12_000;
/**
 * In the load the store may exceed its capacity by what is committed until evictions catch up: about 40 MiB/s here, for
 * the 7 s of a report and a round of sweeps, and longer after a fault of the store.
 */
const MAX_OVERSHOOT = 1.25;
/** Without load, two sweep intervals later all that is above the capacity is evicted. */
const EVICTED_WITHIN_MS = 40_000;
const LOG_LINES = 10;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    seed: { type: 'string' },
    capacity: { type: 'string', default: '1536Mi' },
    workers: { type: 'string', default: '1' },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const workers = Number(values.workers);
if (!Number.isInteger(minutes) || minutes < 1 || !Number.isInteger(seed))
  throw new Error('--minutes and --seed require whole numbers');
if (!Number.isInteger(workers) || workers < 1 || workers > MAX_WORKERS)
  throw new Error(`--workers requires a whole number from 1 to ${MAX_WORKERS}`);
const capacityBytes = parseQuantity(values.capacity) ?? 0;
if (capacityBytes === 0) throw new Error('--capacity requires a size such as 1536Mi');
process.exitCode = (await soak()) ? 0 : 1;

interface Results {
  readonly counts: Counts;
  readonly faults: Map<string, number>;
  /** Key → number of changes. */
  readonly generations: Map<string, number>;
  readonly samples: Minute[];
  /** By minute, at the end of its pause. */
  readonly storedBytes: number[];
  /** By minute, at the end of its load. */
  readonly peakBytes: number[];
  evictedBytes: number;
}

async function soak(): Promise<boolean> {
  // Before the first process starts: a signal must not leave it behind.
  const interrupted = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => interrupted.abort());
  await using environment = await startEnvironment({ capacity: values.capacity, workers });
  console.log(`${minutes} minutes with seed ${seed}; logs in ${environment.directory}`);
  const random = randomOf(seed);
  const results: Results = {
    counts: { reads: 0, bytes: 0, failed: new Map(), wrong: [] },
    faults: new Map(),
    generations: new Map(),
    samples: [],
    storedBytes: [],
    peakBytes: [],
    evictedBytes: 0,
  };
  const exits: string[] = [];
  for (let minute = 1; minute <= minutes && !interrupted.signal.aborted; minute++) {
    const before = results.counts.wrong.length;
    await runMinute(environment, results, random, minute, interrupted.signal);
    for (const wrong of results.counts.wrong.slice(before)) console.log(`wrong: ${wrong}`);
    for (const { name, exited } of environment.replicas) if (exited) exits.push(`${name} has exited`);
    if (exits.length > 0) break;
    results.samples.push(...(await sampleAll(environment, results, minute)));
    console.log(lineOf(results, minute));
  }

  const problems = [...results.counts.wrong, ...exits, ...growth(results.samples), ...overfull(results)];
  report(results);
  if (problems.length > 0) await printLogs(environment);
  console.log(
    problems.length === 0
      ? 'PASSED: no wrong byte, no growth, a bounded store'
      : `FAILED (repeat with --seed ${seed}):\n${problems.join('\n')}`,
  );
  return problems.length === 0 && !interrupted.signal.aborted;
}

/** One minute: load with faults, then the pause. */
async function runMinute(
  environment: SoakEnvironment,
  { counts, faults, generations, peakBytes }: Results,
  random: Random,
  minute: number,
  interrupted: AbortSignal,
): Promise<void> {
  const signal = AbortSignal.any([AbortSignal.timeout(MINUTE_MS - PAUSE_MS), interrupted]);
  const client = openClient(counts, (key) => generations.get(key) ?? 0);
  const changing = random.fork(`changes ${minute}`);
  const change = (): void => {
    const key = changing.pick(WARM);
    // Recorded before the origin changes, because a client may read the new version immediately.
    generations.set(key, (generations.get(key) ?? 0) + 1);
    environment.origin.change(BUCKET, key);
  };
  const edges = environment.replicas.map(({ edge }) => edge);
  await Promise.all([
    runLoad({ client, edges, random: random.fork(`load ${minute}`), signal, name: `${seed}-${minute}` }),
    runFaults({
      environment,
      random: random.fork(`faults ${minute}`),
      signal,
      // Early, so that the next process is as warm as the others when growth begins to count.
      killsWorkers: workers > 1 && minute <= warmMinute(minutes) / 2,
      onFault: (name) => count(faults, name),
      change,
    }),
  ]);
  client.close();
  environment.originProxy.reset();
  environment.storeProxy.reset();
  peakBytes.push(await storedBytesOf(environment));
  const evictedByMs = Date.now() + PAUSE_MS + EVICTED_WITHIN_MS;
  if (!interrupted.aborted) await delay(PAUSE_MS);
  while (!interrupted.aborted && Date.now() < evictedByMs && (await storedBytesOf(environment)) > capacityBytes)
    await delay(1_000);
}

async function storedBytesOf(environment: SoakEnvironment): Promise<number> {
  return (await environment.chunkFiles()).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

async function sampleAll(environment: SoakEnvironment, results: Results, minute: number): Promise<Minute[]> {
  results.storedBytes.push(await storedBytesOf(environment));
  results.evictedBytes = 0;
  return Promise.all(
    environment.replicas.map(async (replica) => {
      const { rssBytes, descriptors, sockets, metrics } = await replica.sample();
      const metric = (name: string): number => metrics.get(name) ?? 0;
      results.evictedBytes += metric('orca_store_evicted_bytes_total');
      const heldBytes =
        metric('orca_memory_window_bytes') + metric('orca_memory_fill_bytes') - metric('orca_memory_tier_bytes');
      // Covers the whole minute, because reading the metric resets it.
      const lagP99Ms = metric('nodejs_eventloop_lag_p99_seconds') * 1000;
      return { minute, replica: replica.name, rssBytes, descriptors, sockets, lagP99Ms, heldBytes };
    }),
  );
}

/** One line for each minute after which the cachestore stayed above its capacity, or exceeded it by far. */
function overfull({ storedBytes, peakBytes }: Results): string[] {
  const found = (bytes: readonly number[], limitBytes: number, when: string): string[] =>
    bytes.flatMap((stored, index) =>
      stored <= limitBytes ? [] : [`minute ${index + 1}: ${(stored / MIB).toFixed(0)} MiB stored ${when}`],
    );
  return [
    ...found(storedBytes, capacityBytes, 'at the end of the pause'),
    ...found(peakBytes, capacityBytes * MAX_OVERSHOOT, 'at the end of the load'),
  ];
}

function lineOf({ counts, samples, storedBytes, peakBytes, evictedBytes }: Results, minute: number): string {
  const current = samples.filter((sample) => sample.minute === minute);
  const each = (of: (sample: Minute) => number): string => current.map((sample) => of(sample).toFixed(0)).join(' ');
  return [
    `minute ${minute}: ${counts.reads} reads, ${(counts.bytes / MIB).toFixed(0)} MiB, ${counts.wrong.length} wrong;`,
    `rss ${each(({ rssBytes }) => rssBytes / MIB)} MiB, sockets ${each(({ sockets }) => sockets)},`,
    `descriptors ${each(({ descriptors }) => descriptors)}, lag p99 ${each(({ lagP99Ms }) => lagP99Ms)} ms;`,
    `stored ${((peakBytes.at(-1) ?? 0) / MIB).toFixed(0)} and ${((storedBytes.at(-1) ?? 0) / MIB).toFixed(0)} MiB, evicted ${(evictedBytes / MIB).toFixed(0)} MiB;`,
    `load average ${readFileSync('/proc/loadavg', 'utf8').split(' ')[0]}`,
  ].join(' ');
}

function report({ samples, counts, faults }: Results): void {
  const columns = ['minute', 'replica', 'rss MiB', 'sockets', 'descriptors', 'lag p99 ms', 'held MiB'];
  const rows = samples.map((sample) => [
    String(sample.minute),
    sample.replica,
    (sample.rssBytes / MIB).toFixed(1),
    String(sample.sockets),
    String(sample.descriptors),
    sample.lagP99Ms.toFixed(1),
    (sample.heldBytes / MIB).toFixed(1),
  ]);
  const titles = columns.map((title) => ({ title }));
  console.log(['', ...table(titles, rows), ''].join('\n'));
  const list = (map: ReadonlyMap<string, number>): string =>
    [...map].map(([name, times]) => `${name}: ${times}`).join(', ') || 'none';
  console.log(`${counts.reads} complete reads, ${(counts.bytes / MIB).toFixed(0)} MiB`);
  console.log(`failed reads: ${list(counts.failed)}`);
  console.log(`faults: ${list(faults)}`);
}

async function printLogs({ replicas }: SoakEnvironment): Promise<void> {
  for (const { name, logFile } of replicas) {
    const log = (await readFile(logFile, 'utf8')).trim().split('\n').slice(-LOG_LINES).join('\n');
    console.log(`\nlast log lines of ${name}:\n${log}`);
  }
}
