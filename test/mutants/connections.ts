import type { Mutant } from './mutants.ts';

/** Bugs in streams, sparse reads, connections and stored chunks. */
export const CONNECTION_MUTANTS: readonly Mutant[] = [
  {
    name: 'the end of a connection counts as a cut body although all bytes wait for room',
    file: 'cache/wire/http1/exchange.ts',
    search: "if (this.#phase === 'sink' && this.#overflowBytes() === this.#missingBytes) {",
    replace: "if (this.#phase === 'sink' && this.#missingBytes === 0) {",
    tests: ['test/cache/wire/http1/'],
  },
  {
    name: 'an idle connection that was closed carries the next request',
    file: 'cache/wire/http1/pool.ts',
    search: 'onDestroyed: (destroyed) => this.#removeIdle(destroyed),',
    replace: 'onDestroyed: () => {},',
    tests: ['test/cache/wire/http1/'],
  },
  {
    name: 'the listener for the client’s disconnect stays on its connection after the response',
    file: 'cache/http/listener/http-listener.ts',
    search: "response.once('finish', () => socket.removeListener('close', onClose));",
    replace: '',
  },
  {
    name: 'a chunk with an equal CRC-32 and another ETag is the same',
    file: 'cache/stores/stored-chunk.ts',
    search: 'theirs.etag === ours.etag &&',
    replace: '',
    tests: ['test/cache/stores/stored-chunk.test.ts'],
  },
  {
    name: 'a fill fetches blocks again that are still in flight',
    file: 'cache/engine/fill/block-reuse.ts',
    search: 'return isArriving(run) && run.flight.bytes === undefined ? undefined : run;',
    replace: 'return isArriving(run) ? undefined : run;',
    tests: ['test/cache/engine/fill/block-reuse.test.ts'],
  },
  {
    name: 'footers count as evidence for a fill',
    file: 'cache/engine/fill/block-evidence.ts',
    search: 'if (isFooter(chunk, range)) {',
    replace: 'if (isFooter(chunk, range) && range.from < 0) {',
    tests: ['test/cache/engine/fill/'],
  },
  {
    name: 'sparse reads do not pay for their blocks',
    file: 'cache/engine/fill/block-table.ts',
    search: 'evidence.budgetBytes -= run.to - run.from;',
    replace: '',
    tests: ['test/cache/engine/sparse/reads-cost.test.ts'],
  },
  {
    name: 'blocks in memory have no limit',
    file: 'cache/engine/fill/block-table.ts',
    search: 'if (this.#heldBytes <= this.#maxBytes || oldest === run) break;',
    replace: 'break;',
    tests: ['test/cache/engine/fill/'],
  },
  {
    name: 'readers do not wait for the first one’s look-up in the cachestore',
    file: 'cache/engine/fetch/from-store.ts',
    search: 'const inFlight = storeLookups.find(path);',
    replace: 'const inFlight = undefined as Promise<Lookup> | undefined;',
    tests: ['test/cache/engine/streams/store-lookups.test.ts'],
  },
  {
    name: 'readers that were left behind query the cachestore, not the coordinator',
    file: 'cache/engine/streams/commit-watch.ts',
    search: '(await this.#askPeer(chunk, filler)) ?? (await this.#askStore(chunk))',
    replace: 'await this.#askStore(chunk)',
    tests: ['test/cache/engine/streams/commit-watch.test.ts'],
  },
  {
    name: 'a hot chunk of another replica is streamed from it each time',
    file: 'cache/engine/fetch/from-peer.ts',
    search: "if (reader.source === 'peer') context.heldByPeers.touch(read.chunk.path);",
    replace: '',
    tests: ['test/cache/engine/fetch/hot-object.test.ts'],
  },
];
