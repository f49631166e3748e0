/**
 * Starts bare Node.js servers, which only move the bytes: the lower bound of the cost of a line on this machine. Large
 * objects are read from a store without and with CRC-32.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '#hack/lab/free-ports.ts';
import { startChild, waitForReady } from './child.ts';
import { isSmall, type Variant } from './lines.ts';
import { startSynthetic } from './synthetic.ts';
import { NO_COUNTERS, type Target } from './environment.ts';

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
  ): Promise<Target> => {
    const port = await freePort();
    const child = stack.use(startChild(process.execPath, [...args, '--port', String(port), '--origin', originUrl]));
    const url = `http://127.0.0.1:${port}`;
    await waitForReady(name, url, child, START_TIMEOUT_MS);
    return { name, urls: [url], pids: [child.pid], supports, ...NO_COUNTERS };
  };
  const isFromStore = ({ line, title }: Variant): boolean =>
    ['a', 'b', 'c'].includes(line) && title.includes('from the store');
  const isLarge = (variant: Variant): boolean => isFromStore(variant) && !isSmall(variant);
  const isFromMemory = ({ line, title }: Variant): boolean => line !== 'h' && title.includes('from memory');
  const fromStore = [FROM_STORE, '--store', store.url];
  const targets = [
    await start('bare Node', fromStore, isFromStore),
    await start('bare Node with CRC-32', [...fromStore, '--crc'], isLarge),
    await start('bare Node', [FROM_MEMORY], isFromMemory),
  ];
  const owned = stack.move();
  return { targets, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
