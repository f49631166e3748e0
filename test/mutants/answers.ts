import type { Mutant } from './mutants.ts';

const LISTINGS = 'cache/engine/metadata/listings.ts';
const STORED_LISTS = 'cache/engine/metadata/stored-lists.ts';
const REFUSALS = 'cache/engine/metadata/list-refusals.ts';
const SUB_RESOURCE = 'cache/origins/s3/sub-resource.ts';
const LISTING_TESTS = ['test/cache/engine/metadata/listings.test.ts'];
const STORED_TESTS = ['test/cache/engine/metadata/stored-lists.test.ts'];
const REFUSAL_TESTS = ['test/cache/engine/metadata/list-refusals.test.ts'];
const SUB_RESOURCE_TESTS = ['test/cache/origins/s3/sub-resource.test.ts'];
const LOG_TESTS = ['test/cache/http/edge/request-log.test.ts', 'test/cache/http/edge/access-log.test.ts'];

/** Bugs in lists while the origin is down, sub-resources, encryption keys of clients, and logs. */
export const ANSWER_MUTANTS: readonly Mutant[] = [
  {
    name: 'a page from before a refusal is served',
    file: LISTINGS,
    search: 'return this.#refusals.lastMs(bucket, query.prefix) >= kept.learnedMs ? undefined : kept;',
    replace: 'return kept;',
    tests: LISTING_TESTS,
  },
  {
    name: 'a page is served however old it is',
    file: LISTINGS,
    search: 'if (kept === undefined || this.#ageMs(kept) > Math.max(ttlMs, staleIfErrorMs)) return undefined;',
    replace: 'if (kept === undefined) return undefined;',
    tests: LISTING_TESTS,
  },
  {
    name: 'a replica does not look for a refusal that another one got',
    file: LISTINGS,
    search:
      "if (found !== undefined && found.page === undefined)\n      this.#refusals.refuse('prefix', bucket, query.prefix, found.learnedMs);",
    replace: '',
    tests: LISTING_TESTS,
  },
  {
    name: 'an older stored page replaces the one in memory',
    file: LISTINGS,
    search: 'found.learnedMs > (kept?.learnedMs ?? Number.NEGATIVE_INFINITY)',
    replace: 'found.learnedMs > 0',
    tests: LISTING_TESTS,
  },
  {
    name: 'an older page of a list is written over a newer one',
    file: STORED_LISTS,
    search: 'if (before.name === next.name) return before.learnedMs < next.learnedMs;',
    replace: 'if (before.name === next.name) return true;',
    tests: STORED_TESTS,
  },
  {
    name: 'writes of pages have no limit',
    file: STORED_LISTS,
    search: 'this.#credit--;',
    replace: '',
    tests: STORED_TESTS,
  },
  {
    name: 'another page in the same place is taken for the one that was requested',
    file: STORED_LISTS,
    search: 'if (stored?.name !== name) return undefined;',
    replace: 'if (stored === undefined) return undefined;',
    tests: STORED_TESTS,
  },
  {
    name: 'a forgotten refusal is lost',
    file: REFUSALS,
    search: 'this.#floorMs = Math.max(this.#floorMs, ms);',
    replace: '',
    tests: REFUSAL_TESTS,
  },
  {
    name: 'the bytes of an object are passed on as its tags',
    file: SUB_RESOURCE,
    search: "if (!roots.includes(rootOf(document) ?? '')) throw notImplemented();",
    replace: '',
    tests: SUB_RESOURCE_TESTS,
  },
  {
    name: 'a missing object is a missing document',
    file: SUB_RESOURCE,
    search: 'status === 404 ? !OBJECT_IS_MISSING.has(code)',
    replace: 'status === 404 ? true',
    tests: SUB_RESOURCE_TESTS,
  },
  {
    name: 'a document that names keys is served to a client of a prefix',
    file: 'cache/http/edge/sub-resources.ts',
    search: "if (wanted.namesKeys === true) requireReadAccess(caller, bucket, '');",
    replace: '',
    tests: ['test/cache/http/edge/sub-resources.test.ts'],
  },
  {
    name: 'a list that began before a write is shared by the writer',
    file: 'cache/engine/metadata/fresh-flights.ts',
    search: 'this.#nextCalls.forget(name);',
    replace: '',
    tests: ['test/cache/engine/metadata/fresh-flights.test.ts'],
  },
  {
    name: 'a plain object is served in answer to a request with a key',
    file: 'cache/http/edge/edge.ts',
    search: 'throw notApplicable();',
    replace: '',
    tests: ['test/cache/http/edge/customer-key.test.ts'],
  },
  {
    name: 'an object that needs a key counts as unsupported',
    file: 'cache/origins/s3/errors.ts',
    search: "return status === 400 && code === 'InvalidRequest' && /server.side encryption/i.test(message);",
    replace: 'return false;',
    tests: ['test/cache/origins/s3/origin.test.ts'],
  },
  {
    name: 'a signature whose parameter is encoded is logged',
    file: 'cache/core/s3/redact-target.ts',
    search: 'SECRET.has(decoded(name).toLowerCase())',
    replace: 'SECRET.has(name.toLowerCase())',
    tests: ['test/cache/core/s3/redact-target.test.ts', ...LOG_TESTS],
  },
  {
    name: 'failures are logged without a limit',
    file: 'cache/http/edge/line-budget.ts',
    search: 'if (this.#used >= this.#perSecond) {',
    replace: 'if (this.#used >= this.#perSecond * 1000) {',
    tests: ['test/cache/http/edge/line-budget.test.ts'],
  },
  {
    name: 'every request is in a sampled access log',
    file: 'cache/http/edge/access-log.ts',
    search: 'sample === 1 || random() * sample < 1',
    replace: 'sample === 1 || random() < 1',
    tests: LOG_TESTS,
  },
];
