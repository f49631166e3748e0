/** Starts bare Node.js servers, without and with CRC-32: the lower bound of the cost of line a on this machine. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freePorts, startChild, waitForReady } from './child.ts';
import { startSynthetic } from './synthetic.ts';
import { NO_COUNTERS, type Target } from './environment.ts';

const PROGRAM = join(import.meta.dirname, 'bare.ts');
const START_TIMEOUT_MS = 10_000;

export interface BareTargets extends AsyncDisposable {
  readonly targets: readonly Target[];
}

/** Both servers share a store that no other target uses. */
export async function startBare(binFolder: string, folder: string, originUrl: string): Promise<BareTargets> {
  await using stack = new AsyncDisposableStack();
  const objects = join(folder, 'bare');
  await mkdir(objects);
  const store = stack.use(await startSynthetic(binFolder, '-dir', objects));
  const start = async (name: string, ...more: readonly string[]): Promise<Target> => {
    const [port] = await freePorts(1);
    const args = [PROGRAM, '--port', String(port), '--store', store.url, '--origin', originUrl, ...more];
    const child = stack.use(startChild(process.execPath, args));
    const url = `http://127.0.0.1:${port}`;
    await waitForReady(name, url, child, START_TIMEOUT_MS);
    return {
      name,
      urls: [url],
      pids: [child.pid],
      supports: ({ line, title }) => line === 'a' && title.includes('from the store'),
      ...NO_COUNTERS,
    };
  };
  const targets = [await start('bare Node'), await start('bare Node with CRC-32', '--crc')];
  const owned = stack.move();
  return { targets, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
