/**
 * Starts bare Node.js servers, which only move the bytes: the lower bound of the cost of a line on this machine. Large
 * objects are read from a store without and with CRC-32.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '#hack/lab/free-ports.ts';
import { startChild, waitForReady } from './child.ts';
import { limitEach } from './cpu-limit.ts';
import { isSmall, type Variant } from './lines.ts';
import { startSynthetic } from './synthetic.ts';
import { NO_COUNTERS, type Target } from './environment.ts';
import { BARE, BARE_WITH_CRC, workersName } from './targets.ts';
import { CPUS_PER_WORKER } from './variants.ts';

const FROM_STORE = join(import.meta.dirname, 'bare.ts');
const FROM_MEMORY = join(import.meta.dirname, 'bare-memory.ts');
const START_TIMEOUT_MS = 10_000;

export interface BareTargets extends AsyncDisposable {
  readonly targets: readonly Target[];
}

interface Plan {
  readonly name: string;
  readonly args: readonly string[];
  readonly supports: (variant: Variant) => boolean;
  /** Processes that share the port, each with its part of a core; undefined = one without a limit. */
  readonly workers?: number;
}

/** Only those that one of the variants needs. Those that read from a store share one that no other target uses. */
export async function startBare(
  binFolder: string,
  folder: string,
  originUrl: string,
  variants: readonly Variant[],
): Promise<BareTargets> {
  await using stack = new AsyncDisposableStack();
  const objects = join(folder, 'bare');
  await mkdir(objects);
  const store = stack.use(await startSynthetic(binFolder, '-dir', objects));
  const start = async ({ name, args, supports, workers }: Plan): Promise<Target> => {
    const port = await freePort();
    const all = [...args, '--port', String(port), '--origin', originUrl];
    if (workers !== undefined) all.push('--reuse-port');
    const url = `http://127.0.0.1:${port}`;
    const pids: number[] = [];
    for (let worker = 0; worker < (workers ?? 1); worker++) {
      const child = stack.use(startChild(process.execPath, all));
      pids.push(child.pid);
      await waitForReady(name, url, child, START_TIMEOUT_MS);
    }
    const groups = pids.map((pid) => [pid]);
    if (workers !== undefined) limitEach(groups, CPUS_PER_WORKER);
    return { name, urls: [url], pids, supports, ...NO_COUNTERS };
  };
  const targets: Target[] = [];
  for (const plan of plansFor(store.url)) if (variants.some(plan.supports)) targets.push(await start(plan));
  const owned = stack.move();
  return { targets, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function plansFor(storeUrl: string): Plan[] {
  const isFromStore = ({ line, title }: Variant): boolean =>
    ['a', 'b', 'c'].includes(line) && title.includes('from the store');
  const isLarge = (variant: Variant): boolean => isFromStore(variant) && !isSmall(variant);
  const isFromMemory = ({ line, title }: Variant): boolean => line !== 'h' && title.includes('from memory');
  const isWorkers = (from: string) => (variant: Variant) => variant.line === 'h' && variant.title.includes(from);
  const fromStore = [FROM_STORE, '--store', storeUrl];
  return [
    { name: BARE, args: fromStore, supports: isFromStore },
    { name: BARE_WITH_CRC, args: [...fromStore, '--crc'], supports: isLarge },
    { name: BARE, args: [FROM_MEMORY], supports: isFromMemory },
    ...[1, 2].flatMap((workers) => [
      { name: workersName(BARE, workers), args: [FROM_MEMORY], supports: isWorkers('from memory'), workers },
      { name: workersName(BARE, workers), args: fromStore, supports: isWorkers('from the store'), workers },
    ]),
  ];
}
