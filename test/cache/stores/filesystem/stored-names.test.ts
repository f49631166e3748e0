import { mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { array, assert, asyncProperty, constantFrom, integer, nat, tuple } from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { chunkAt, type Chunk } from '#cache/core/chunk.ts';
import type { ProbedStore } from '#cache/engine/ports.ts';
import { DirectoryNames } from '#cache/stores/filesystem/directory-names.ts';
import type { FileResults } from '#cache/stores/filesystem/file-request.ts';
import { openFilesystemStore } from '#cache/stores/filesystem/store.ts';
import { listOperationsOf } from '#cache/stores/filesystem/thread-lists.ts';
import { chunkFor, metadataFor, patternBytes } from '#test/support/chunks.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const { signal } = new AbortController();
const HOUR_MS = 60 * 60_000;
const run = listOperationsOf(fs);

async function temporaryDirectory(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'orca-names-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  return root;
}

async function write(root: string, name: string): Promise<void> {
  await mkdir(dirname(join(root, name)), { recursive: true });
  await writeFile(join(root, name), 'bytes');
}

async function open(root: string, clock = fakeClock(Date.now())): Promise<ProbedStore> {
  const store = openFilesystemStore({ path: root, clock });
  onTestFinished(() => store.close());
  return store;
}

async function namesOf(store: ProbedStore, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for (let cursor: string | undefined, pages = 0; pages < 100; pages++) {
    const page = await store.list(prefix, cursor, { signal });
    names.push(...page.entries.map(({ name }) => name));
    ({ cursor } = page);
    if (cursor === undefined) return names;
  }
  throw new Error('the list does not end');
}

const hex = (start: string): string => start.padEnd(64, '0');
const anyName = tuple(constantFrom('0', '00', '0a', '1f', 'ff', 'x', '.a'), nat(15), constantFrom('hash', 'other')).map(
  ([start, number, kind]) =>
    kind === 'hash' ? hex(`${start.replaceAll(/[x.]/g, 'b')}${number.toString(16)}`) : `${start}${number}`,
);

test('the names of a directory, in parts of any size, are all its names', async () => {
  await assert(
    asyncProperty(array(anyName, { maxLength: 60 }), integer({ min: 8, max: 40 }), async (wanted, maxNames) => {
      const root = await mkdtemp(join(tmpdir(), 'orca-names-'));
      try {
        for (const name of wanted) await writeFile(join(root, name), '');
        const found: string[] = [];
        let from: string | undefined = '';
        for (let parts = 0; from !== undefined; parts++) {
          expect(parts).toBeLessThan(100);
          const result = run({ op: 'names', path: root, from, maxNames }) as FileResults['names'];
          const names = new DirectoryNames('o', from, result, { startedMs: 0, endedMs: 0 });
          const part = names.select('', from, Infinity);
          expect(part.length).toBeLessThanOrEqual(maxNames);
          for (const name of part) expect(names.covers(name)).toBe(true);
          for (const stem of ['0', '0a', 'ff', 'x'])
            expect(names.select(stem, '', 3)).toEqual(part.filter((name) => name.startsWith(stem)).slice(0, 3));
          found.push(...part);
          from = names.to;
        }
        expect(found).toEqual([...new Set(wanted)].toSorted());
      } finally {
        await rm(root, { recursive: true });
      }
    }),
    { numRuns: 50 },
  );
});

test('a scan with pauses anywhere finds every file once', async () => {
  const file = tuple(constantFrom('a', 'b', 'b/c', 'b/c/d', 'e'), nat(12)).map(([path, name]) => `${path}/${name}`);
  await assert(
    asyncProperty(array(file, { maxLength: 40 }), integer({ min: 1, max: 7 }), async (files, limit) => {
      const root = await mkdtemp(join(tmpdir(), 'orca-names-'));
      const wanted = files.filter((name) => !files.some((other) => other.startsWith(`${name}/`)));
      try {
        for (const name of wanted) await write(root, name);
        const directories = (await readdir(root)).toSorted();
        const found: string[] = [];
        for (let rest = directories, after = '', rounds = 0; rest.length > 0; rounds++) {
          expect(rounds).toBeLessThan(200);
          const step = run({
            op: 'scan',
            path: root,
            directories: rest,
            after,
            limit,
            budgetMs: 1_000,
            emptySinceMs: 0,
          }) as FileResults['scan'];
          expect(step.names.length).toBeLessThanOrEqual(limit);
          found.push(...step.names);
          rest = rest.slice(step.done);
          ({ after } = step);
          // A file among the directories, after which nothing of it remains.
          if (after === '' && rest.length > 0 && step.names.at(-1) === rest[0]) rest = rest.slice(1);
        }
        expect(found.toSorted()).toEqual([...new Set(wanted)].toSorted());
        expect(new Set(found).size).toBe(found.length);
      } finally {
        await rm(root, { recursive: true });
      }
    }),
    { numRuns: 50 },
  );
});

test('the directory of an object goes with its last chunk', async () => {
  const root = await temporaryDirectory();
  const store = await open(root);
  for (const index of [0, 1]) await write(root, `far/${hex('aa')}/${index}`);
  await store.remove([`far/${hex('aa')}/0`], { signal });
  expect(await readdir(join(root, 'far'))).toEqual([hex('aa')]);
  await store.remove([`far/${hex('aa')}/1`], { signal });
  expect(await readdir(join(root, 'far'))).toEqual([]);
});

test('a commit succeeds while others remove the other chunks of its object, and with them its directory', async () => {
  const root = await temporaryDirectory();
  const [committing, removing] = [await open(root), await open(root)];
  const chunkBytes = 64 * 1024;
  const body = patternBytes(40 * chunkBytes);
  const object = { ...chunkFor(body, 'object').object, sizeBytes: body.length };
  const chunks = Array.from({ length: 40 }, (_, index) => chunkAt(object, chunkBytes, index));
  const commit = (chunk: Chunk) => {
    const bytes = body.subarray(chunk.range.from, chunk.range.to);
    return committing.commit(chunk, metadataFor(chunk, bytes), [bytes], { signal });
  };
  await commit(chunks[0]!);
  for (const [index, chunk] of chunks.entries()) {
    const next = chunks[index + 1];
    await Promise.all([removing.remove([chunk.path], { signal }), next === undefined ? 'won' : commit(next)]);
  }
  expect(await readdir(join(root, object.originId))).toEqual([]);
});

test('a list removes empty directories and temporary files that have been left for an hour', async () => {
  const root = await temporaryDirectory();
  const clock = fakeClock(Date.now());
  const store = await open(root, clock);
  await write(root, `far/${hex('00')}/0`);
  for (const name of ['a0', 'a1']) await mkdir(join(root, 'far', hex(name)));
  for (const name of ['.tmp-old', '.tmp-new']) await writeFile(join(root, name), '');
  const old = new Date(Date.now() - 2 * HOUR_MS);
  for (const name of [join('far', hex('a0')), '.tmp-old']) await utimes(join(root, name), old, old);
  expect(await namesOf(store, 'far/')).toEqual([`far/${hex('00')}/0`]);
  expect((await readdir(join(root, 'far'))).toSorted()).toEqual([hex('00'), hex('a1')]);
  expect((await readdir(root)).toSorted()).toEqual(['.tmp-new', 'far']);
});

test('all shards are listed from one reading of the directory, with what was committed since', async () => {
  const root = await temporaryDirectory();
  const clock = fakeClock(Date.now());
  const store = await open(root, clock);
  const body = patternBytes(1_000);
  const chunk = chunkFor(body, 'object');
  const { originId } = chunk.object;
  await write(root, `${originId}/${hex('00')}/0`);
  expect(await namesOf(store, `${originId}/00`)).toHaveLength(1);
  // Written by another process.
  await write(root, `${originId}/${hex('01')}/0`);
  expect(await namesOf(store, `${originId}/01`)).toEqual([]);
  await store.commit(chunk, metadataFor(chunk, body), [body], { signal });
  expect(await namesOf(store, chunk.path.slice(0, chunk.path.indexOf('/') + 3))).toEqual([chunk.path]);
  await clock.advance(1_000);
  expect(await namesOf(store, `${originId}/01`)).toHaveLength(1);
});

test('small objects that another process has just written are listed, also below a new directory', async () => {
  const root = await temporaryDirectory();
  const store = await open(root);
  expect(await namesOf(store, '_orca/pins/')).toEqual([]);
  for (const name of ['a', 'b']) {
    await write(root, `_orca/pins/${name}/00`);
    expect(await namesOf(store, '_orca/pins/')).toContain(`_orca/pins/${name}/00`);
  }
});

test.for([
  { tookMs: 0, lifeMs: 1_000 },
  { tookMs: 100, lifeMs: 5_000 },
  { tookMs: 60_000, lifeMs: 300_000 },
])('a reading that took $tookMs ms is used for $lifeMs ms', ({ tookMs, lifeMs }) => {
  const result = { hashes: Buffer.alloc(0), others: [], to: undefined };
  const names = new DirectoryNames('o', '', result, { startedMs: 7, endedMs: 7 + tookMs });
  expect(names.isCurrent(7 + lifeMs - 1)).toBe(true);
  expect(names.isCurrent(7 + lifeMs)).toBe(false);
});

test('the chunks of one version are listed without those of others, and as they are now', async () => {
  const root = await temporaryDirectory();
  const store = await open(root);
  await write(root, `far/${hex('00')}/0`);
  expect(await namesOf(store, `far/${hex('01')}`)).toEqual([]);
  for (const index of [0, 1]) await write(root, `far/${hex('01')}/${index}`);
  await write(root, `far/${hex('02')}/0`);
  expect(await namesOf(store, `far/${hex('01')}`)).toEqual([`far/${hex('01')}/0`, `far/${hex('01')}/1`]);
});

test('many small directories do not displace that of the versions', async () => {
  const root = await temporaryDirectory();
  const store = await open(root);
  await write(root, `far/${hex('00')}/0`);
  expect(await namesOf(store, 'far/')).toHaveLength(1);
  for (let number = 0; number < 10; number++) await namesOf(store, `_orca/kind-${number}/`);
  // Written by another process: seen only if the directory was read again.
  await write(root, `far/${hex('01')}/0`);
  expect(await namesOf(store, 'far/')).toHaveLength(1);
});

test('links to other places are neither followed nor listed', async () => {
  const root = await temporaryDirectory();
  const elsewhere = await temporaryDirectory();
  await write(elsewhere, 'secret');
  await mkdir(join(root, 'far', hex('00')), { recursive: true });
  await symlink(elsewhere, join(root, 'far', hex('01')));
  await symlink(join(elsewhere, 'secret'), join(root, 'far', hex('00'), '0'));
  expect(await namesOf(await open(root), 'far/')).toEqual([]);
});

test('what cannot be removed is reported, each with its reason', async () => {
  const root = await temporaryDirectory();
  const store = await open(root);
  await write(root, `far/${hex('00')}/0`);
  // A directory in the place of a chunk.
  await write(root, `far/${hex('00')}/1/file`);
  const { removed, failed } = await store.remove([`far/${hex('00')}/0`, `far/${hex('00')}/1`], { signal });
  expect(removed).toBe(1);
  expect(failed).toMatchObject([{ name: `far/${hex('00')}/1`, error: { code: 'store_unavailable' } }]);
  expect((await stat(join(root, 'far', hex('00'), '1', 'file'))).isFile()).toBe(true);
});

test('the size of the store is that of its file system', async () => {
  const root = await temporaryDirectory();
  const store = await open(join(root, 'not', 'there', 'yet'));
  const { blocks, bsize } = fs.statfsSync(root);
  const totalBytes = await store.totalBytes?.({ signal });
  expect(totalBytes).toBeGreaterThan(0);
  expect(totalBytes).toBeLessThanOrEqual(blocks * bsize);
});
