/**
 * `hack/try`: a cache on this machine until Ctrl-C. It starts the sample origin, if no other is given, and the replicas;
 * prints the endpoint and commands to paste; then shows what the cache does.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort, isFree } from '#hack/lab/free-ports.ts';
import { KEY, pasteCommands } from './commands.ts';
import { bucketOf, type ReplicaPlan, type ReplicaPorts } from './config.ts';
import { figuresLine, readFigures } from './figures.ts';
import { firstKey } from './first-key.ts';
import { parseOptions, USAGE, UsageError, type TryOptions } from './options.ts';
import { logFile, StartError, startReplica, waitUntilReady, type Replica } from './replicas.ts';
import { startSampleOrigin } from './sample-origin.ts';

const FIRST_PORT = 9000;
const REFRESH_MS = 1_000;
/** Without a terminal, each change is a line. */
const PLAIN_REFRESH_MS = 10_000;

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => stopping.abort(new Error('stopped')));
process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(args, process.env);
    if (options === 'help') process.stdout.write(USAGE);
    else await run(options, stopping.signal);
    return 0;
  } catch (error) {
    if (stopping.signal.aborted) return 0;
    if (!(error instanceof UsageError || error instanceof StartError)) throw error;
    process.stderr.write(`try: ${error.message}\n`);
    if (error instanceof UsageError) process.stderr.write('try: see hack/try --help\n');
    return error instanceof UsageError ? 2 : 1;
  }
}

async function run(options: TryOptions, signal: AbortSignal): Promise<void> {
  await using opened = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'orca-try-'));
  opened.defer(() => rm(folder, { recursive: true, force: true }));
  const { origin, storeFolder } = options;
  const sample = origin.kind === 'sample' ? opened.use(await startSampleOrigin()) : undefined;
  const plan: ReplicaPlan = {
    origin,
    sampleEndpoint: sample?.endpoint,
    storeFolder: storeFolder === undefined ? join(folder, 'store') : resolve(storeFolder),
    ports: await portsFor(options),
  };
  await mkdir(plan.storeFolder, { recursive: true });
  const replicas = await Promise.all(plan.ports.map((_, index) => startReplica(plan, index, folder)));
  opened.defer(async () => {
    await Promise.all(replicas.map((replica) => replica.stop()));
  });
  await Promise.all(replicas.map((replica, index) => waitUntilReady(replica, logFile(folder, index), signal)));

  const edge = replicas[0]?.edge ?? '';
  const bucket = bucketOf(origin);
  const key = (await firstKey(edge, bucket)) ?? KEY;
  print(introduction(plan, replicas, key).join('\n'));
  await showFigures(replicas, signal);
  print(
    `\nStopped. ${storeFolder === undefined ? 'Its folder is removed' : `The chunks stay in ${plan.storeFolder}`}.`,
  );
}

function introduction({ origin, storeFolder }: ReplicaPlan, replicas: readonly Replica[], key: string): string[] {
  const bucket = bucketOf(origin);
  const from = {
    sample: 'sample files on a slow S3 server (80 ms away, 25 MB/s a connection)',
    s3: `s3://${bucket}${origin.kind === 's3' && origin.prefix !== '' ? `/${origin.prefix}` : ''}`,
    http: origin.kind === 'http' ? origin.baseUrl : '',
  }[origin.kind];
  const edge = replicas[0]?.edge ?? '';
  return [
    '',
    `S3 endpoint: ${replicas.map((replica) => replica.edge).join('  ')}    bucket: ${bucket}`,
    `Origin:      ${from}`,
    `Cachestore:  ${storeFolder}`,
    '',
    'Paste one of these into another terminal, twice:',
    '',
    ...pasteCommands(edge, bucket, key).map((command) => `  ${command}`),
    '',
    ...(key === KEY ? [`${KEY} is the name of an object that you know: the origin lists none.`, ''] : []),
    'Ctrl-C stops it.',
    '',
  ];
}

/** Until the signal aborts, or a replica ends by itself. */
async function showFigures(replicas: readonly Replica[], signal: AbortSignal): Promise<void> {
  const isTerminal = process.stdout.isTTY;
  let ended = 0;
  for (const replica of replicas) void replica.ended.then(() => ended++);
  let shown = '';
  while (!signal.aborted) {
    if (ended > 0) throw new StartError('a replica has ended by itself');
    const line = figuresLine(await readFigures(replicas.map(({ ops }) => ops)));
    if (isTerminal) process.stdout.write(`\r\u{1B}[2K${line.slice(0, process.stdout.columns)}`);
    else if (line !== shown) print(line);
    shown = line;
    await delay(isTerminal ? REFRESH_MS : PLAIN_REFRESH_MS, undefined, { signal }).catch(() => {});
  }
}

async function portsFor({ replicas, port }: TryOptions): Promise<readonly ReplicaPorts[]> {
  const taken = new Set<number>();
  const choose = async (wanted?: number): Promise<number> => {
    const isWanted = wanted !== undefined && !taken.has(wanted) && (await isFree(wanted));
    let chosen = isWanted ? wanted : await freePort();
    while (taken.has(chosen)) chosen = await freePort();
    taken.add(chosen);
    return chosen;
  };
  if (port !== undefined && !(await isFree(port)))
    throw new UsageError(`port ${port} is in use: choose another one with --port`);
  const first = port ?? FIRST_PORT;
  const all: ReplicaPorts[] = [];
  for (let index = 0; index < replicas; index++)
    all.push({ edge: await choose(first + index), peer: await choose(), ops: await choose() });
  return all;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
