/** Every command of `kubectl orca` against a real API server and real pods. */
import { expect, test } from 'vitest';
import { BUCKET, eventually } from './operator-world.ts';
import { plainObjects, totalBytes } from './prewarm-objects.ts';
import { CACHE, type PrewarmWorld } from './prewarm-world.ts';

const MIB = 1024 * 1024;
const PREFIX = 'cli set (1)/';
const OBJECTS = plainObjects(PREFIX, 5, 2 * MIB + 7);
const URL = `s3://${BUCKET}/${PREFIX}`;

interface Listed {
  readonly items: readonly Record<string, unknown>[];
}

export function testCli(open: () => PrewarmWorld): void {
  /** The JSON output of a command that must succeed. */
  const ask = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
    const { exitCode, stdout, stderr } = await open().cli(...args, '-o', 'json');
    expect([args, stderr, exitCode]).toEqual([args, '', 0]);
    return JSON.parse(stdout) as Record<string, unknown>;
  };
  const items = async (...args: readonly string[]): Promise<Listed['items']> =>
    ((await ask(...args)) as unknown as Listed).items;

  test('prewarm --wait fetches a prefix, shows its progress and exits with 0', async () => {
    const warm = open();
    await warm.upload(OBJECTS);
    const before = await warm.settledOriginBytes();
    const { exitCode, stdout, stderr } = await warm.cli('prewarm', URL, '--rate', '50Mi', '--pin', '1h', '--wait');
    expect([stderr, exitCode]).toEqual([expect.any(String), 0]);
    expect(stdout).toContain(`complete: ${OBJECTS.length} of ${OBJECTS.length} objects`);
    expect((await warm.settledOriginBytes()) - before).toBe(totalBytes(OBJECTS));
  });

  test('ls, du and explain show that it is stored and pinned', async () => {
    for (const item of await items('ls', URL)) expect(item).toMatchObject({ sizeBytes: 2 * MIB + 7, storedChunks: 3 });
    expect(await ask('du', URL)).toMatchObject({ objects: OBJECTS.length, storedBytes: totalBytes(OBJECTS) });
    const { chunks } = await ask('explain', `${URL}0000`);
    expect(chunks).toMatchObject([{ stored: true }, { stored: true }, { stored: true }]);
  });

  test('pins lists it, unpin ends it, and pin makes one', async () => {
    const sizes = async (): Promise<unknown[]> => (await items('pins')).map(({ bytes }) => bytes);
    await eventually(async () => expect(await sizes()).toContain(totalBytes(OBJECTS)));
    const { exitCode, stderr } = await open().cli('pin', `s3://${BUCKET}/gated/`, '--ttl', '1h');
    expect([stderr, exitCode]).toEqual([expect.any(String), 0]);
    await eventually(async () => expect(await items('pins')).toHaveLength(2));
    const unpinned = await open().cli('unpin', `s3://${BUCKET}/gated/`);
    expect([unpinned.stderr, unpinned.exitCode]).toEqual([expect.any(String), 0]);
    await eventually(async () => expect(await items('pins')).toHaveLength(1));
  });

  test('purge --chunks deletes the chunks of one object', async () => {
    const { exitCode, stderr } = await open().cli('purge', `${URL}0000`, '--chunks');
    expect([stderr, exitCode]).toEqual([expect.any(String), 0]);
    const { chunks } = await ask('explain', `${URL}0000`);
    expect(chunks).toMatchObject([{ stored: false }, { stored: false }, { stored: false }]);
    const { chunks: others } = await ask('explain', `${URL}0001`);
    expect(others).toMatchObject([{ stored: true }, { stored: true }, { stored: true }]);
  });

  test('status, top and doctor look at the cache', async () => {
    expect(await items('status', CACHE)).toMatchObject([{ replicas: { ready: 3, answering: 3 } }]);
    await ask('top', CACHE, '--once');
    const [examined] = await items('doctor', CACHE);
    const troubles = examined!['troubles'] as readonly { readonly level: string }[];
    expect(troubles.filter(({ level }) => level === 'error')).toEqual([]);
  });
}
