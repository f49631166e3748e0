/** What a sweep of a large cachestore costs the replica that owns all shards. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

interface Round {
  readonly cpuSeconds: number;
  readonly addedMiB: number;
  readonly heldMiB: number;
  readonly reportedChunks: number;
  readonly storedChunks: number;
  readonly coveredShards: number;
  readonly warnings: readonly string[];
}

const CHUNKS = 1_000_000;
const PROGRAM = join(import.meta.dirname, '../support/sweep-million.ts');

test(
  'one replica sweeps a million chunks in a minute of CPU time, with 64 MiB of memory',
  { timeout: 300_000 },
  async () => {
    // The image has the same limit of the heap.
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--max-old-space-size=256',
      PROGRAM,
      String(CHUNKS),
    ]);
    const [counting, evicting] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Round) as [Round, Round];
    console.log({ counting, evicting });
    expect(counting).toMatchObject({ reportedChunks: CHUNKS, storedChunks: CHUNKS, coveredShards: 256, warnings: [] });
    // The second round reads the ledgers of the first one, and evicts.
    expect(evicting.storedChunks).toBeLessThan(0.95 * CHUNKS);
    expect(evicting.storedChunks).toBeGreaterThan(0.79 * CHUNKS);
    for (const { cpuSeconds, addedMiB, heldMiB } of [counting, evicting]) {
      expect(cpuSeconds).toBeLessThan(60);
      expect(addedMiB).toBeLessThan(64);
      // Without garbage that is not collected yet.
      expect(heldMiB).toBeLessThan(16);
    }
  },
);
