import type { Mutant } from './mutants.ts';

const METADATA = 'cache/engine/metadata/metadata.ts';
const HEAD_TABLE = 'cache/engine/metadata/head-table.ts';
const HEAD_FLIGHTS = 'cache/engine/metadata/head-flights.ts';
const BUCKET_CHECKS = 'cache/engine/metadata/bucket-checks.ts';
const HEAD_BUCKET_TESTS = ['test/cache/http/edge/head-bucket.test.ts'];
const FRESHNESS_TESTS = ['test/cache/engine/metadata/freshness.test.ts'];
const CACHE_CONTROL_TESTS = ['test/cache/http/edge/cache-control.test.ts'];

/** Bugs by which a reader sees a version that is too old, or the origin gets more requests than it needs. */
export const FRESHNESS_MUTANTS: readonly Mutant[] = [
  {
    name: 'an entry is used for longer than its TTL again while it is revalidated',
    file: METADATA,
    search: 'const staleMs = Math.min(this.#options.staleWhileRevalidateMs, ttlMs);',
    replace: 'const staleMs = this.#options.staleWhileRevalidateMs;',
    tests: FRESHNESS_TESTS,
  },
  {
    name: 'a read shares a HEAD that began before it',
    file: HEAD_FLIGHTS,
    search: 'bound.sinceMs === wanted.sinceMs && bound.order > wanted.order',
    replace: 'bound.sinceMs === wanted.sinceMs',
    tests: ['test/cache/engine/metadata/head-flights.test.ts'],
  },
  {
    name: 'a read takes the outcome of a HEAD that began in the same millisecond before it',
    file: HEAD_FLIGHTS,
    search: 'if (learned.learnedMs > wanted.sinceMs) return learned;',
    replace: 'if (learned.learnedMs >= wanted.sinceMs) return learned;',
    tests: ['test/cache/engine/metadata/head-flights.test.ts'],
  },
  {
    name: 'an absence that a HEAD found before a read began is its result',
    file: HEAD_FLIGHTS,
    search: 'if (!isAbsence(error) || flight.startedMs - ageOf(error) > wanted.sinceMs) throw error;',
    replace: 'throw error;',
    tests: ['test/cache/engine/metadata/head-flights.test.ts'],
  },
  {
    name: 'the time that a peer’s answer takes does not count as age',
    file: METADATA,
    search: 'return { head, learnedMs: askedMs - ageMs };',
    replace: 'return { head, learnedMs: clock.now() + 0 * askedMs - ageMs };',
    tests: FRESHNESS_TESTS,
  },
  {
    name: 'an absence is used for longer than the TTL',
    file: HEAD_TABLE,
    search: 'const limitMs = Math.min(maxAgeMs, this.#negativeTtlMs);',
    replace: 'const limitMs = Math.max(0 * maxAgeMs, this.#negativeTtlMs);',
    tests: ['test/cache/engine/metadata/head-table.test.ts'],
  },
  {
    name: 'each reader of an outdated version announces it',
    file: METADATA,
    search: 'if (etag !== ANY_VERSION && this.#table.isForgotten(this.#tableKey(object), etag)) return;',
    replace: '',
    tests: FRESHNESS_TESTS,
  },
  {
    name: 'an outdated version of another replica is recorded again',
    file: HEAD_TABLE,
    search: 'if (outdated?.etag === etag && learned.learnedMs <= outdated.atMs) return {};',
    replace: '',
    tests: ['test/cache/engine/metadata/head-table.test.ts'],
  },
  {
    name: 'only-if-cached reads bytes from the origin',
    file: 'cache/engine/read.ts',
    search: 'if (request.onlyIfCached === true) await requireStored(context, planned, prefix, signal);',
    replace: '',
    tests: CACHE_CONTROL_TESTS,
  },
  {
    name: 'only-if-cached ignores max-age',
    file: METADATA,
    search: 'ttlMs + Math.min(this.#options.staleWhileRevalidateMs, ttlMs), maxAgeMs);',
    replace: 'ttlMs + Math.min(this.#options.staleWhileRevalidateMs, ttlMs), Math.max(ttlMs, maxAgeMs));',
    tests: CACHE_CONTROL_TESTS,
  },
  {
    name: 'a missing bucket is looked up by each request',
    file: BUCKET_CHECKS,
    search: 'return keep(error, Math.min(negativeTtlMs, ttlMs));',
    replace: 'return keep(error, 0 * Math.min(negativeTtlMs, ttlMs));',
    tests: HEAD_BUCKET_TESTS,
  },
  {
    name: 'an outage makes buckets disappear',
    file: BUCKET_CHECKS,
    search: 'if (hasCode(error, ...OUTAGE)) return keep(last?.error, OUTAGE_MS);',
    replace: '',
    tests: HEAD_BUCKET_TESTS,
  },
  {
    name: 'an outage brings a missing bucket back',
    file: BUCKET_CHECKS,
    search: 'return keep(last?.error, OUTAGE_MS);',
    replace: 'return keep(undefined, OUTAGE_MS);',
    tests: HEAD_BUCKET_TESTS,
  },
  {
    name: 'keys are encoded in a way that URL parsers change',
    file: 'cache/core/peer/query.ts',
    search: 'return encodeRfc3986(value);',
    replace: 'return encodeURIComponent(value);',
    tests: ['test/cache/http/ops/purge.test.ts'],
  },
];
