import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { ChunkPath } from '#cache/core/chunk.ts';
import type { ChunkStore } from '#cache/engine/ports.ts';
import { openFilesystemStore } from '#cache/stores/filesystem/store.ts';
import { chunkFor, metadataFor, patternBytes, piecesOf } from '#test/support/chunks.ts';
import { collectSink } from '#test/support/collect-sink.ts';

const { signal } = new AbortController();
const body = patternBytes(200_000);
const chunk = chunkFor(body, 'object');
const metadata = metadataFor(chunk, body);
const pieces = piecesOf(body, 64_000);
const HOUR_MS = 60 * 60 * 1000;

let root: string;
let store: ChunkStore;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'orca-store-'));
  store = openFilesystemStore({ path: root });
  onTestFinished(() => rm(root, { recursive: true, force: true }));
});

const leftovers = async (): Promise<string[]> => (await readdir(root)).filter((name) => name.startsWith('.tmp-'));

test('a chunk is one file: its bytes, then its trailer', async () => {
  await store.commit(chunk, metadata, pieces, { signal });
  const file = await readFile(join(root, chunk.path));
  expect(file.subarray(0, body.length).equals(body)).toBe(true);
  expect(file.subarray(-8).toString()).toBe('ORCACHNK');
  expect(await leftovers()).toEqual([]);
});

test('no temporary file remains after a lost commit, a repair or a failure', async () => {
  await store.commit(chunk, metadata, pieces, { signal });
  await store.commit(chunk, metadata, pieces, { signal });
  await store.commit(chunk, metadata, pieces, { signal, overwrite: true });
  await mkdir(join(root, '_orca', 'identity', 'x'), { recursive: true });
  await expect(store.putSmall('_orca/identity/x', body, { signal })).rejects.toMatchObject({
    code: 'store_unavailable',
  });
  expect(await leftovers()).toEqual([]);
});

test('temporary files older than an hour are removed before the first write', async () => {
  for (const [name, ageMs] of [
    ['.tmp-old', HOUR_MS + 1000],
    ['.tmp-young', HOUR_MS - 60_000],
    ['other', 2 * HOUR_MS],
  ] as const) {
    await writeFile(join(root, name), 'x');
    const at = new Date(Date.now() - ageMs);
    await utimes(join(root, name), at, at);
  }
  await store.commit(chunk, metadata, pieces, { signal });
  expect((await readdir(root)).filter((name) => name.includes('tmp') || name === 'other').toSorted()).toEqual([
    '.tmp-young',
    'other',
  ]);
});

test('a missing root is created', async () => {
  const deep = openFilesystemStore({ path: join(root, 'a', 'b') });
  expect(await deep.has(chunk, { signal })).toBe(false);
  expect(await deep.commit(chunk, metadata, pieces, { signal })).toBe('won');
  expect(await deep.has(chunk, { signal })).toBe(true);
});

test('a directory that is removed between two commits is created again', async () => {
  await store.commit(chunk, metadata, pieces, { signal });
  await rm(join(root, 'test'), { recursive: true });
  expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
});

describe('a damaged file', () => {
  const damage = async (change: (file: Buffer) => Buffer): Promise<void> => {
    await store.commit(chunk, metadata, pieces, { signal });
    await writeFile(join(root, chunk.path), change(await readFile(join(root, chunk.path))));
  };

  test.for([
    ['inside its bytes', (file: Buffer) => file.subarray(0, 100_000)],
    ['inside its trailer', (file: Buffer) => file.subarray(0, body.length + 30)],
    ['one byte after its bytes', (file: Buffer) => file.subarray(0, body.length + 1)],
    ['at the last byte', (file: Buffer) => file.subarray(0, -1)],
    ['to an empty file', () => Buffer.alloc(0)],
  ] as const)('truncated %s is a bad chunk', async ([, change]) => {
    await damage(change);
    const sink = collectSink();
    await expect(store.read(chunk, { from: 0, to: 10 }, sink, () => undefined, { signal })).rejects.toMatchObject({
      code: 'chunk_bad',
    });
    expect(sink.lengthBytes).toBe(0);
  });

  test('with missing bytes before its trailer is a bad chunk', async () => {
    await damage((file) => Buffer.concat([file.subarray(0, 1000), file.subarray(1001)]));
    await expect(store.has(chunk, { signal })).rejects.toMatchObject({ code: 'chunk_bad' });
  });

  test('is replaced by the next commit', async () => {
    await damage((file) => file.subarray(0, -1));
    expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
    expect(await store.has(chunk, { signal })).toBe(true);
  });
});

test('a path outside the root is rejected, and nothing is written', async () => {
  const evil = { ...chunk, path: '../evil/x' as ChunkPath };
  for (const call of [
    () => store.commit(evil, metadata, pieces, { signal }),
    () => store.has(evil, { signal }),
    () => store.read(evil, { from: 0, to: 1 }, collectSink(), () => undefined, { signal }),
    () => store.putSmall('_orca/../../evil', body, { signal }),
    () => store.deleteSmall('../evil', { signal }),
  ])
    await expect(call()).rejects.toMatchObject({ code: 'internal' });
  await expect(stat(join(dirname(root), 'evil'))).rejects.toMatchObject({ code: 'ENOENT' });
});

test('an aborted write ends at once, before its root is created and swept', async () => {
  const deep = openFilesystemStore({ path: join(root, 'new') });
  const aborter = new AbortController();
  const committing = deep.commit(chunk, metadata, pieces, { signal: aborter.signal });
  aborter.abort();
  await expect(committing).rejects.toMatchObject({ code: 'cancelled' });
  expect(await readdir(root)).toEqual([]);
  await deep.close();
});

test('an error of the filesystem is store_unavailable, with the error as its cause', async () => {
  // A file in place of the directory fails for root too, to whom file modes do not apply.
  await writeFile(join(root, 'test'), 'x');
  await expect(store.commit(chunk, metadata, pieces, { signal })).rejects.toMatchObject({
    code: 'store_unavailable',
    cause: { code: 'ENOTDIR' },
  });
  await expect(store.has(chunk, { signal })).rejects.toMatchObject({
    code: 'store_unavailable',
    cause: { code: 'ENOTDIR' },
  });
  expect(await leftovers()).toEqual([]);
});
