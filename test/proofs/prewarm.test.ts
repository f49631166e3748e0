/** What the walk of a prewarm costs whose objects are all stored. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const OBJECTS = 100_000;
const PROGRAM = join(import.meta.dirname, '../support/walk-stored.ts');

test('100,000 stored objects are skipped with 32 MiB of memory', { timeout: 300_000 }, async () => {
  // The image has the same limit of the heap.
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--max-old-space-size=256',
    PROGRAM,
    String(OBJECTS),
  ]);
  const measured = JSON.parse(stdout) as { readonly addedMiB: number; readonly heldMiB: number };
  console.log(measured);
  expect(measured).toMatchObject({ objects: { total: OBJECTS, done: OBJECTS, failed: 0 } });
  expect(measured.addedMiB).toBeLessThan(32);
  // Without garbage that is not collected yet.
  expect(measured.heldMiB).toBeLessThan(8);
});
