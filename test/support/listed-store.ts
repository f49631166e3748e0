/**
 * A ChunkStore of a million chunks without their bytes: only what sweeps call, with the cost of a real one to the caller,
 * which is new strings and objects for each page.
 */
import { shardOf, SHARDS } from '#cache/core/capacity/chunk-key.ts';
import { MAX_STORE_NAMES, type ChunkStore, type StoredEntry } from '#cache/engine/ports.ts';

type Times = Map<number, number>;

export class ListedStore {
  readonly #originId: string;
  readonly #sizeBytes: number;
  /** By shard and version, when each chunk was stored. */
  readonly #shards = Array.from({ length: SHARDS }, () => new Map<string, Times>());
  readonly #smalls = new Map<string, { readonly body: Uint8Array; readonly modifiedMs: number }>();
  readonly #date: () => number;
  /** Names that a walk of several pages has still to return. */
  readonly #walks = new Map<string, string[]>();
  chunks = 0;
  lists = 0;

  constructor(options: { readonly originId: string; readonly sizeBytes: number; readonly date: () => number }) {
    this.#originId = options.originId;
    this.#sizeBytes = options.sizeBytes;
    this.#date = options.date;
  }

  /** What small objects take, which a real store would not keep in this process. */
  get smallBytes(): number {
    let sum = 0;
    for (const { body } of this.#smalls.values()) sum += body.length;
    return sum;
  }

  has(versionHex: string, index: number): boolean {
    return this.#shards[shardOf(versionHex)]!.get(versionHex)?.has(index) === true;
  }

  put(versionHex: string, index: number, modifiedMs: number): void {
    const shard = this.#shards[shardOf(versionHex)]!;
    let times = shard.get(versionHex);
    if (times === undefined) shard.set(versionHex, (times = new Map()));
    if (!times.has(index)) this.chunks++;
    times.set(index, modifiedMs);
  }

  asStore(): ChunkStore {
    const unused = (): never => {
      throw new Error('a sweep does not call this');
    };
    return {
      read: unused,
      has: unused,
      commit: unused,
      getSmall: async (name) => this.#smalls.get(name)?.body,
      putSmall: async (name, body) => {
        this.#smalls.set(name, { body, modifiedMs: this.#date() });
        return 'won';
      },
      deleteSmall: async (name) => this.#delete(name),
      list: async (prefix, cursor) => this.#page(prefix, cursor),
      remove: async (names) => {
        for (const name of names) this.#delete(name);
        return { removed: names.length, failed: [] };
      },
      close: async () => {},
    };
  }

  #page(prefix: string, cursor: string | undefined): { entries: StoredEntry[]; cursor: string | undefined } {
    this.lists++;
    if (prefix.startsWith('_orca/')) {
      const smalls = [...this.#smalls].filter(([name]) => name.startsWith(prefix));
      const entries = smalls.map(([name, { body, modifiedMs }]) => ({ name, sizeBytes: body.length, modifiedMs }));
      return { entries, cursor: undefined };
    }
    const hex = prefix.slice(this.#originId.length + 1);
    const shard = this.#shards[shardOf(hex)]!;
    const left =
      cursor === undefined ? [...shard.keys()].filter((version) => version.startsWith(hex)) : this.#walks.get(cursor);
    if (left === undefined) throw new Error(`no list has the cursor ${cursor}`);
    if (cursor !== undefined) this.#walks.delete(cursor);
    const entries: StoredEntry[] = [];
    while (left.length > 0 && entries.length < MAX_STORE_NAMES) {
      const version = left.pop()!;
      for (const [index, modifiedMs] of shard.get(version) ?? [])
        entries.push({ name: `${this.#originId}/${version}/${index}`, sizeBytes: this.#sizeBytes, modifiedMs });
    }
    if (left.length === 0) return { entries, cursor: undefined };
    const next = `${prefix} ${this.lists}`;
    this.#walks.set(next, left);
    return { entries, cursor: next };
  }

  #delete(name: string): void {
    if (this.#smalls.delete(name)) return;
    const [, version = '', index = ''] = name.split('/');
    const shard = this.#shards[shardOf(version)]!;
    const times = shard.get(version);
    if (times?.delete(Number(index)) === true) this.chunks--;
    if (times?.size === 0) shard.delete(version);
  }
}
