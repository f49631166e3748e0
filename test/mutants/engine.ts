import type { Mutant } from './mutants.ts';

const LIMITER = 'cache/engine/upstream/origin-limiter.ts';
const OUTCOMES = 'cache/engine/upstream/outcome-window.ts';
const FLIGHTS = 'cache/engine/fill/flights.ts';
const ORIGIN_PARTS = 'cache/engine/fill/origin-parts.ts';
const OUTBOX = 'cache/engine/fill/outbox.ts';
const METADATA = 'cache/engine/metadata/metadata.ts';
const HEAD_TABLE = 'cache/engine/metadata/head-table.ts';

/** Bugs in the engine that need no particular schedule of events. */
export const ENGINE_MUTANTS: readonly Mutant[] = [
  {
    name: 'the outbox takes 429 for a permanent refusal',
    file: OUTBOX,
    search: '![408, 409, 412, 429].includes(status)',
    replace: '![408, 409, 412].includes(status)',
    tests: ['test/cache/engine/fill/outbox.test.ts'],
  },
  {
    name: 'a postponed commit is forgotten',
    file: OUTBOX,
    search: 'this.#beginPostponed();\n  }',
    replace: '}',
    tests: ['test/cache/engine/fill/outbox.test.ts'],
  },
  {
    name: 'postponed commits are not flushed at shutdown',
    file: OUTBOX,
    search: 'while (this.count > 0 && !signal.aborted',
    replace: 'while (this.#waiting.length > 0 && !signal.aborted',
    tests: ['test/cache/engine/fill/outbox.test.ts'],
  },
  {
    name: 'an older head replaces a newer one',
    file: HEAD_TABLE,
    search: 'if (before !== undefined && before.learnedMs > learned.learnedMs) return {};',
    replace: '',
  },
  {
    name: 'an older absence replaces a newer head',
    file: HEAD_TABLE,
    search: 'if (before !== undefined && before.learnedMs > learnedMs) return;',
    replace: '',
  },
  {
    name: 'the HEAD in flight outlives an invalidation',
    file: METADATA,
    search: 'this.#originHeads.forget(name);',
    replace: '',
  },
  {
    name: 'the lookup in flight outlives an invalidation',
    file: METADATA,
    search: 'this.#lookups.forget(name);',
    replace: '',
  },
  {
    name: 'progress of a part counts from its start, not from its last break',
    file: ORIGIN_PARTS,
    search: '((lastAt = part.at), true)',
    replace: 'true',
    tests: ['test/cache/engine/fill/origin-parts.test.ts'],
  },
  {
    name: 'an If-None-Match that does not match is not revalidated',
    file: 'cache/engine/read.ts',
    search: "(ifNoneMatch !== undefined && outcome === 'proceed')",
    replace: "(ifNoneMatch === '' && outcome === 'proceed')",
    tests: ['test/cache/engine/metadata/metadata.test.ts'],
  },
  {
    name: 'a corrupt chunk stays in the catalog',
    file: 'cache/engine/fetch/from-store.ts',
    search: 'context.catalog.forget(chunk.path);',
    replace: "if (error.code === 'chunk_missing') context.catalog.forget(chunk.path);",
    tests: ['test/cache/engine/fetch/from-store.test.ts'],
  },
  {
    name: 'a read that waited for seconds elsewhere does not query the cachestore again',
    file: 'cache/engine/fetch/context.ts',
    search: 'return storeFailedMs !== undefined && clock.now() - storeFailedMs < STORE_RETRY_MS;',
    replace: 'return storeFailedMs !== undefined && clock.now() >= storeFailedMs;',
    tests: ['test/cache/engine/fetch/from-origin.test.ts'],
  },
  {
    name: 'the date in a manifest is taken for a time of the own clock',
    file: 'cache/engine/metadata/stored-dates.ts',
    search: 'return clock.now() - Math.max(0, clock.date() - dateMs);',
    replace: 'return Math.min(clock.now(), dateMs);',
    tests: ['test/cache/engine/metadata/manifests.test.ts'],
  },
  {
    name: 'a shared window follows a reader that has left',
    file: 'cache/engine/streams/stream-window.ts',
    search: 'if (reader.at === this.#front) this.#front = undefined;',
    replace: '',
    tests: ['test/cache/engine/streams/stream-window.test.ts'],
  },
  {
    name: 'a chunk that was not verified enters the memory tier',
    file: 'cache/engine/streams/store-loads.ts',
    search: 'this.#failure === undefined && this.#verifier !== undefined',
    replace: 'this.#failure === undefined',
    tests: ['test/cache/engine/streams/store-loads.test.ts'],
  },
  {
    name: 'a fill that has not been paid for continues without readers',
    file: FLIGHTS,
    search: 'if (!flight.isPaidFor && !flight.isWarm) this.#end(',
    replace: 'if (false) this.#end(',
    tests: ['test/cache/engine/fill/flights.test.ts'],
  },
  {
    name: 'a fill without readers keeps memory that callers wait for',
    file: FLIGHTS,
    search: 'if (missingBytes <= 0) return;',
    replace: 'if (missingBytes > 0) return;',
    tests: ['test/cache/engine/fill/flights.test.ts'],
  },
  {
    name: 'callers that wait for memory are not checked when a fill loses its last reader',
    file: FLIGHTS,
    search: 'this.#context.memory.reconsider();',
    replace: '',
    tests: ['test/cache/engine/fill/flights.test.ts'],
  },
  {
    name: 'the fill without readers that has more bytes ends first',
    file: FLIGHTS,
    search: 'a.arrivedBytes - b.arrivedBytes',
    replace: 'b.arrivedBytes - a.arrivedBytes',
    tests: ['test/cache/engine/fill/flights.test.ts'],
  },
  {
    name: 'a task in the background is preempted although it is within its share',
    file: LIMITER,
    search: 'staying.length - Math.floor(this.slots * BACKGROUND_SHARE),',
    replace: 'staying.length,',
  },
  {
    name: 'tasks in the background take slots that others wait for',
    file: LIMITER,
    search: 'while (this.#queued === 0 && this.#running < this.slots) {',
    replace: 'while (this.#running < this.slots + 1) {',
  },
  {
    name: 'a preempted task is not called again',
    file: LIMITER,
    search: 'if (turn?.preempted.signal.aborted !== true || signal.aborted) throw error;',
    replace: 'throw error;',
  },
  {
    name: 'a circuit breaker counts one object’s failures as an outage',
    file: OUTCOMES,
    search: 'failures >= this.#rule.failures && keys.size >= this.#rule.distinctKeys',
    replace: 'failures >= this.#rule.failures',
  },
  {
    name: 'a circuit breaker opens by a number of failures, whatever succeeds',
    file: OUTCOMES,
    search: 'failures >= calls * this.#rule.ratio &&',
    replace: '',
  },
  {
    name: 'successes before an outage keep a circuit breaker closed',
    file: OUTCOMES,
    search: 'return isMost || this.#isEnough(this.#row.failures, this.#row.keys);',
    replace: 'return isMost;',
  },
  {
    name: 'an open circuit breaker refuses the rest of a fill',
    file: 'cache/engine/upstream/circuit-breaker.ts',
    search: 'if (!mayPass && (mustWait || waitMs > 0))',
    replace: 'if (mustWait || waitMs > 0)',
  },
  {
    name: 'a fill reads a chunk from the origin that was loaded into memory meanwhile',
    file: 'cache/engine/fill/fill.ts',
    search: 'if (context.memoryTier.get(chunk.path) !== undefined)\n      throw',
    replace: 'if (context.memoryTier.get(chunk.path) === null)\n      throw',
  },
  {
    name: 'a fill that waited for its slot does not query the cachestore again',
    file: 'cache/engine/fill/fill.ts',
    search: '>= LOOK_AGAIN_MS',
    replace: '>= Infinity',
  },
];
