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

/** Those that read from a store share one that no other target uses. */
export async function startBare(binFolder: string, folder: string, originUrl: string): Promise<BareTargets> {
  await using stack = new AsyncDisposableStack();
  const objects = join(folder, 'bare');
  await mkdir(objects);
  const store = stack.use(await startSynthetic(binFolder, '-dir', objects));
  const start = async (
    name: string,
    args: readonly string[],
    supports: (variant: Variant) => boolean,
    workers?: number,
  ): Promise<Target> => {
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
    if (workers !== undefined)
      limitEach(
        pids.map((pid) => [pid]),
        CPUS_PER_WORKER,
      );
    return { name, urls: [url], pids, supports, ...NO_COUNTERS };
  };
  const isFromStore = ({ line, title }: Variant): boolean =>
    ['a', 'b', 'c'].includes(line) && title.includes('from the store');
  const isWorkers = (from: string) => (variant: Variant) => variant.line === 'h' && variant.title.includes(from);
  const isLarge = (variant: Variant): boolean => isFromStore(variant) && !isSmall(variant);
  const isFromMemory = ({ line, title }: Variant): boolean => line !== 'h' && title.includes('from memory');
  const fromStore = [FROM_STORE, '--store', store.url];
  const targets = [
    await start(BARE, fromStore, isFromStore),
    await start(BARE_WITH_CRC, [...fromStore, '--crc'], isLarge),
    await start(BARE, [FROM_MEMORY], isFromMemory),
  ];
  for (const workers of [1, 2]) {
    const name = workersName(BARE, workers);
    targets.push(await start(name, [FROM_MEMORY], isWorkers('from memory'), workers));
    targets.push(await start(name, fromStore, isWorkers('from the store'), workers));
  }
  const owned = stack.move();
  return { targets, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
