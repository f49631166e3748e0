/**
 * `node hack/soak.d/main.ts [--minutes N] [--seed S]`. Each minute: load and faults, then a pause in which nothing is
 * asked and everything must have been given back; what is counted then, minute for minute, must not grow.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { randomOf } from '#test/simulation/random.ts';
import { table } from '#hack/demo.d/table.ts';
import { count, openClient, type Counts } from './client.ts';
import { runFaults } from './faults.ts';
import { runLoad, WARM } from './load.ts';
import { BUCKET, startSurroundings, type Surroundings } from './surroundings.ts';
import { growth, type Minute } from './verdict.ts';

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;
/** Longer than idle connections to peers, store and origin are kept, and than a fill that nobody wants goes on. */
const PAUSE_MS = 12_000;

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '20' }, seed: { type: 'string' } } });
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
if (!Number.isInteger(minutes) || minutes < 1 || !Number.isInteger(seed))
  throw new Error('--minutes and --seed are whole numbers');
process.exitCode = (await soak()) ? 0 : 1;

async function soak(): Promise<boolean> {
  await using around = await startSurroundings();
  const interrupted = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => interrupted.abort());
  console.log(`${minutes} minutes with seed ${seed}; logs in ${around.directory}`);
  const random = randomOf(seed);
  const counts: Counts = { reads: 0, bytes: 0, failed: new Map(), wrong: [] };
  const faults = new Map<string, number>();
  const generations = new Map<string, number>();
  const samples: Minute[] = [];
  const ended: string[] = [];
  for (let minute = 1; minute <= minutes && !interrupted.signal.aborted; minute++) {
    await loadedMinute(minute);
    for (const { name, exited } of around.replicas) if (exited) ended.push(`${name} has ended`);
    if (ended.length > 0) break;
    samples.push(...(await sampleAll(around, minute)));
    console.log(line(minute));
  }

  async function loadedMinute(minute: number): Promise<void> {
    const signal = AbortSignal.any([AbortSignal.timeout(MINUTE_MS - PAUSE_MS), interrupted.signal]);
    const client = openClient(counts, (key) => generations.get(key) ?? 0);
    const changing = random.fork(`changes ${minute}`);
    const change = (): void => {
      const key = changing.pick(WARM);
      // Before the origin has it, so that nobody reads a version that is not known here.
      generations.set(key, (generations.get(key) ?? 0) + 1);
      around.origin.change(BUCKET, key);
    };
    const edges = around.replicas.map(({ edge }) => edge);
    await Promise.all([
      runLoad({ client, edges, random: random.fork(`load ${minute}`), signal, name: `${seed}-${minute}` }),
      runFaults({
        around,
        random: random.fork(`faults ${minute}`),
        signal,
        onFault: (name) => count(faults, name),
        change,
      }),
    ]);
    client.close();
    around.originProxy.reset();
    around.storeProxy.reset();
    const swept = await around.sweep();
    for (let i = 0; i < swept; i++) count(faults, 'a chunk is swept');
    if (!interrupted.signal.aborted) await delay(PAUSE_MS);
  }

  function line(minute: number): string {
    const mine = samples.filter((sample) => sample.minute === minute);
    const each = (of: (sample: Minute) => number): string => mine.map((sample) => of(sample).toFixed(0)).join(' ');
    return [
      `minute ${minute}: ${counts.reads} reads, ${(counts.bytes / MIB).toFixed(0)} MiB, ${counts.wrong.length} wrong;`,
      `rss ${each(({ rssBytes }) => rssBytes / MIB)} MiB, sockets ${each(({ sockets }) => sockets)},`,
      `descriptors ${each(({ descriptors }) => descriptors)}, lag p99 ${each(({ lagP99Ms }) => lagP99Ms)} ms;`,
      `machine's load ${readFileSync('/proc/loadavg', 'utf8').split(' ')[0]}`,
    ].join(' ');
  }

  const found = [...counts.wrong, ...ended, ...growth(samples)];
  report(samples, counts, faults);
  if (found.length > 0) {
    for (const { name, logFile } of around.replicas) {
      const log = (await readFile(logFile, 'utf8')).trim().split('\n').slice(-10).join('\n');
      console.log(`\n${name} said at the end:\n${log}`);
    }
  }
  console.log(found.length === 0 ? 'nothing has grown' : `NOT GOOD (seed ${seed}):\n${found.join('\n')}`);
  return found.length === 0 && !interrupted.signal.aborted;
}

async function sampleAll(around: Surroundings, minute: number): Promise<Minute[]> {
  return Promise.all(
    around.replicas.map(async (replica) => {
      const { rssBytes, descriptors, sockets, metrics } = await replica.sample();
      const metric = (name: string): number => metrics.get(name) ?? 0;
      const heldBytes =
        metric('orca_memory_window_bytes') + metric('orca_memory_fill_bytes') - metric('orca_memory_tier_bytes');
      // Of the whole minute: it begins anew when it is read.
      const lagP99Ms = metric('nodejs_eventloop_lag_p99_seconds') * 1000;
      return { minute, replica: replica.name, rssBytes, descriptors, sockets, lagP99Ms, heldBytes };
    }),
  );
}

function report(samples: readonly Minute[], counts: Counts, faults: ReadonlyMap<string, number>): void {
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
  console.log(
    [
      '',
      ...table(
        columns.map((title) => ({ title })),
        rows,
      ),
      '',
    ].join('\n'),
  );
  const list = (map: ReadonlyMap<string, number>): string =>
    [...map].map(([name, times]) => `${name}: ${times}`).join(', ') || 'none';
  console.log(`${counts.reads} whole reads, ${(counts.bytes / MIB).toFixed(0)} MiB`);
  console.log(`not whole: ${list(counts.failed)}`);
  console.log(`faults: ${list(faults)}`);
}
