import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openPeerKeys } from '#cache/peers/keys.ts';
import { openLog } from '#shared/log.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';

const FIRST = Buffer.alloc(32, 7);
const SECOND = Buffer.from('\n'.repeat(32));

async function directory(files: Readonly<Record<string, Buffer>>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'orca-keys-'));
  onTestFinished(() => rm(path, { recursive: true }));
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(path, name), bytes);
  return path;
}

async function open(files: Readonly<Record<string, Buffer>>) {
  const path = await directory(files);
  const clock = fakeClock();
  const lines: string[] = [];
  const keys = await openPeerKeys(
    path,
    clock,
    openLog({ name: 'test', level: 'debug', write: (line) => lines.push(line) }),
  );
  onTestFinished(() => keys.close());
  return { path, clock, keys, lines };
}

/** A reread has ended when the next one is scheduled. */
async function reread(clock: FakeClock): Promise<void> {
  await clock.advance(10_000);
  await expect.poll(() => clock.pending()).toBe(1);
}

describe('the peer keys', () => {
  test('are the exact bytes of the files', async () => {
    const { keys } = await open({ key: SECOND, 'previous-key': FIRST });
    expect(keys.current()).toEqual({ current: SECOND, previous: FIRST });
  });

  test('may have no previous key', async () => {
    const { keys } = await open({ key: FIRST });
    expect(keys.current()).toEqual({ current: FIRST, previous: undefined });
  });

  test('change with the files', async () => {
    const { path, clock, keys } = await open({ key: FIRST });
    await writeFile(join(path, 'previous-key'), FIRST);
    await writeFile(join(path, 'key'), SECOND);
    await reread(clock);
    expect(keys.current()).toEqual({ current: SECOND, previous: FIRST });
    await rm(join(path, 'previous-key'));
    await reread(clock);
    expect(keys.current()).toEqual({ current: SECOND, previous: undefined });
  });

  test.for([
    ['are deleted', (path: string) => rm(join(path, 'key'))],
    ['are empty', (path: string) => writeFile(join(path, 'key'), '')],
  ] as const)('stay when the files %s, with a warning', async ([, corrupt]) => {
    const { path, clock, keys, lines } = await open({ key: FIRST });
    await corrupt(path);
    await reread(clock);
    expect(keys.current().current).toEqual(FIRST);
    expect(lines.at(-1)).toContain('"level":"warn"');
  });

  test('never appear in the log', async () => {
    const secret = Buffer.from('hunter2hunter2hunter2hunter2');
    const { path, clock, lines } = await open({ key: FIRST });
    await writeFile(join(path, 'key'), secret);
    await reread(clock);
    expect(lines).toHaveLength(1);
    expect(lines.join('')).not.toMatch(/hunter2|aHVudGVyM/);
  });

  test.for([{}, { key: Buffer.alloc(0) }, { key: Buffer.alloc(15, 1) }])(
    'are required at the start: %j',
    async (files) => {
      const path = await directory(files);
      await expect(
        openPeerKeys(path, fakeClock(), openLog({ name: 'test', level: 'error', write: () => {} })),
      ).rejects.toThrow(/key/);
    },
  );
});
