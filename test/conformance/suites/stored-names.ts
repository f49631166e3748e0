/** The conformance suite of the ChunkStore port's lists and removals; part of the suite of the whole port. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ChunkPath } from '#cache/core/chunk.ts';
import { MAX_STORE_NAMES, type ChunkStore, type StoredEntry } from '#cache/engine/ports.ts';
import { chunkFor, metadataFor, patternBytes } from '#test/support/chunks.ts';
import type { ChunkStoreFixture } from './chunk-store.ts';

/** Clocks of stores, and times of files, may differ from ours. */
const SKEW_MS = 5 * 60_000;
/** Files have a trailer with the metadata. */
const MAX_EXTRA_BYTES = 8 * 1024;
/** A store that returns empty pages forever fails the test. */
const MAX_PAGES = 100;

export function storedNamesSuite(open: () => Promise<ChunkStoreFixture>): void {
  describe('lists and removals', () => {
    let fixture: ChunkStoreFixture;
    let store: ChunkStore;
    const { signal } = new AbortController();
    const body = patternBytes(1_000, 3);

    beforeAll(async () => {
      fixture = await open();
      ({ store } = fixture);
    });
    afterAll(async () => {
      await fixture[Symbol.asyncDispose]();
    });

    const hexOf = (shard: string, version: number): string => shard + version.toString(16).padStart(62, '0');
    /** `versions` objects of `chunks` chunks each, in each shard. */
    const plant = async (
      originId: string,
      shards: readonly string[],
      versions: number,
      chunks: number,
    ): Promise<string[]> => {
      const names = shards.flatMap((shard) =>
        Array.from({ length: versions * chunks }, (_, at) => {
          const version = hexOf(shard, Math.floor(at / chunks));
          return `${originId}/${version}/${at % chunks}`;
        }),
      );
      const todo = names.values();
      const work = async () => {
        for (const name of todo) await fixture.plant(name as ChunkPath, body);
      };
      await Promise.all(Array.from({ length: 16 }, work));
      return names.toSorted();
    };
    const list = async (prefix: string): Promise<{ entries: StoredEntry[]; pages: number }> => {
      const entries: StoredEntry[] = [];
      let cursor: string | undefined;
      for (let pages = 1; pages <= MAX_PAGES; pages++) {
        const page = await store.list(prefix, cursor, { signal });
        expect(page.entries.length).toBeLessThanOrEqual(MAX_STORE_NAMES);
        entries.push(...page.entries);
        ({ cursor } = page);
        if (cursor === undefined) return { entries, pages };
      }
      throw new Error(`the list of ${prefix} does not end`);
    };
    const namesOf = async (prefix: string): Promise<string[]> =>
      (await list(prefix)).entries.map(({ name }) => name).toSorted();

    test('a prefix without names is an empty list', async () => {
      expect(await store.list('nobody/00', undefined, { signal })).toEqual({ entries: [], cursor: undefined });
      expect(await store.list('nobody/', undefined, { signal })).toEqual({ entries: [], cursor: undefined });
      expect(await store.list('_orca/nothing/', undefined, { signal })).toEqual({ entries: [], cursor: undefined });
    });

    test('a committed chunk is listed with its size and the time of its commit, and no longer once removed', async () => {
      const chunk = chunkFor(patternBytes(300_000), 'listed');
      const bytes = patternBytes(300_000);
      const prefix = chunk.path.slice(0, chunk.path.indexOf('/') + 3);
      expect(await namesOf(prefix)).not.toContain(chunk.path);
      await store.commit(chunk, metadataFor(chunk, bytes), [bytes], { signal });
      const entry = (await list(prefix)).entries.find(({ name }) => name === chunk.path);
      expect(entry?.sizeBytes).toBeGreaterThanOrEqual(bytes.length);
      expect(entry?.sizeBytes).toBeLessThanOrEqual(bytes.length + MAX_EXTRA_BYTES);
      expect(Math.abs((entry?.modifiedMs ?? 0) - Date.now())).toBeLessThan(SKEW_MS);

      expect(await store.remove([chunk.path], { signal })).toEqual({ removed: 1, failed: [] });
      expect(await store.has(chunk, { signal })).toBe(false);
      expect(await namesOf(prefix)).not.toContain(chunk.path);
      expect(await store.commit(chunk, metadataFor(chunk, bytes), [bytes], { signal })).toBe('won');
      expect(await namesOf(prefix)).toContain(chunk.path);
    });

    test('a list has every name of its prefix once, on as many pages as necessary', async () => {
      const names = await plant('pages', ['00', 'a7', 'ff'], 20, 17);
      const all = await list('pages/');
      expect(all.pages).toBeGreaterThan(1);
      expect(all.entries.map(({ name }) => name).toSorted()).toEqual(names);
      for (const shard of ['00', 'a7', 'ff'])
        expect(await namesOf(`pages/${shard}`)).toEqual(names.filter((name) => name.startsWith(`pages/${shard}`)));
      expect(await namesOf('pages/a')).toEqual(names.filter((name) => name.startsWith('pages/a')));
      expect(await namesOf('pages/01')).toEqual([]);
      const version = hexOf('a7', 5);
      expect(await namesOf(`pages/${version}`)).toHaveLength(17);
    });

    test('an object of more chunks than fit on a page is listed completely', async () => {
      const names = await plant('long', ['3c'], 1, 1_005);
      const { entries, pages } = await list('long/3c');
      expect(pages).toBeGreaterThan(1);
      expect(entries.map(({ name }) => name).toSorted()).toEqual(names);
    });

    test('names that are no chunks are listed as well', async () => {
      const odd = [
        `odd/${hexOf('11', 1)}/0.bak`,
        `odd/${hexOf('11', 1)}/a b+c&d`,
        'odd/11-note.txt',
        'odd/11-notes/deep/file',
      ];
      for (const name of odd) await fixture.plant(name as ChunkPath, body);
      const names = await plant('odd', ['11', '12'], 2, 2);
      const wanted = [...odd, ...names].filter((name) => name.startsWith('odd/11'));
      expect(await namesOf('odd/11')).toEqual(wanted.toSorted());
    });

    test('another origin whose ID begins with the same characters is not listed', async () => {
      const names = await plant('one', ['00'], 1, 1);
      await plant('one-more', ['00'], 1, 1);
      expect(await namesOf('one/')).toEqual(names);
    });

    test('small objects are listed by prefix, and removed', async () => {
      const names = ['_orca/ledger/o/00', '_orca/ledger/o/01', '_orca/ledger/o/0f', '_orca/ledger/other/00'];
      for (const name of names) await store.putSmall(name, body, { signal });
      expect(await namesOf('_orca/ledger/')).toEqual(names);
      expect(await namesOf('_orca/ledger/o/')).toEqual(names.slice(0, 3));
      expect(await namesOf('_orca/ledger/o/0')).toEqual(names.slice(0, 3));
      const { entries } = await list('_orca/ledger/o/01');
      expect(entries).toMatchObject([{ name: '_orca/ledger/o/01', sizeBytes: body.length }]);
      expect(await store.remove([names[1]!, names[3]!], { signal })).toEqual({ removed: 2, failed: [] });
      expect(await namesOf('_orca/ledger/')).toEqual([names[0], names[2]]);
      expect(await store.getSmall(names[3]!, { signal })).toBeUndefined();
      await store.putSmall(names[3]!, body, { signal });
      expect(await namesOf('_orca/ledger/other/')).toEqual([names[3]]);
    });

    test('a pin that another replica has just written is on the next list', async () => {
      await store.putSmall('_orca/pins/first/00', body, { signal });
      expect(await namesOf('_orca/pins/')).toEqual(['_orca/pins/first/00']);
      await fixture.plant('_orca/pins/second/00' as ChunkPath, body);
      expect(await namesOf('_orca/pins/')).toEqual(['_orca/pins/first/00', '_orca/pins/second/00']);
      await store.remove(['_orca/pins/second/00'], { signal });
      expect(await namesOf('_orca/pins/')).toEqual(['_orca/pins/first/00']);
    });

    test('a thousand names are removed with one call, whether they are stored or not, and again', async () => {
      const stored = await plant('gone', ['77'], 8, 25);
      const absent = Array.from({ length: 800 }, (_, index) => `gone/${hexOf('78', index)}/0`);
      const kept = await plant('gone', ['79'], 1, 2);
      for (let round = 0; round < 2; round++)
        expect(await store.remove([...stored, ...absent], { signal })).toEqual({ removed: 1_000, failed: [] });
      expect(await namesOf('gone/')).toEqual(kept);
    });

    test('removing a part of an object keeps its other chunks', async () => {
      const names = await plant('part', ['55'], 2, 3);
      expect(await store.remove([names[0]!, names[3]!], { signal })).toEqual({ removed: 2, failed: [] });
      expect(await namesOf('part/55')).toEqual(names.filter((_, at) => at !== 0 && at !== 3));
    });

    test('nothing to remove is nothing removed', async () => {
      expect(await store.remove([], { signal })).toEqual({ removed: 0, failed: [] });
    });

    test('names and prefixes of other programs are neither listed nor removed', async () => {
      for (const prefix of ['', '/', 'o', '../', 'o/../p', '_orca', '_orca/../o', 'o/xyz', 'o/00/'])
        await expect(store.list(prefix, undefined, { signal })).rejects.toMatchObject({ code: 'internal' });
      for (const name of ['', 'o', 'o/x/0', '../../etc/passwd', `o/${hexOf('00', 0)}/../1`, '_orca/../o', '_orca/'])
        await expect(store.remove([name], { signal })).rejects.toMatchObject({ code: 'internal' });
      const many = Array.from({ length: MAX_STORE_NAMES + 1 }, (_, index) => `o/${hexOf('00', 0)}/${index}`);
      await expect(store.remove(many, { signal })).rejects.toMatchObject({ code: 'internal' });
    });

    test('a cancelled list or removal ends with its signal', async () => {
      const names = await plant('cancelled', ['00'], 1, 1);
      const aborted = AbortSignal.abort();
      await expect(store.list('cancelled/', undefined, { signal: aborted })).rejects.toMatchObject({
        code: 'cancelled',
      });
      await expect(store.remove(names, { signal: aborted })).rejects.toMatchObject({ code: 'cancelled' });
      expect(await namesOf('cancelled/')).toEqual(names);
    });
  });
}
