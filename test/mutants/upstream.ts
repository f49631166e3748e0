import type { Mutant } from './mutants.ts';

const RESPONSE_HEAD = 'cache/wire/http1/response-head.ts';
const STORE_PROBE = 'cache/engine/upstream/store-probe.ts';

/** Bugs in the HTTP client, the drivers, and the engine’s calls to origin and cachestore. */
export const UPSTREAM_MUTANTS: readonly Mutant[] = [
  {
    name: 'unsolicited bytes on an idle connection are ignored',
    file: 'cache/wire/http1/connection.ts',
    search: `      this.destroy();
      return false;`,
    replace: '      return true;',
    tests: ['test/cache/wire/http1/'],
  },
  {
    name: 'a response with Content-Length and Transfer-Encoding is accepted',
    file: RESPONSE_HEAD,
    search: 'if (length !== undefined && coding !== undefined)',
    replace: 'if (length !== undefined && coding !== undefined && method === "")',
  },
  {
    name: 'two different Content-Length lines are joined',
    file: RESPONSE_HEAD,
    search: 'if (before !== undefined && SINGLE.has(name))',
    replace: 'if (before === value && SINGLE.has(name))',
  },
  {
    name: 'an HTTP/1.0 response keeps its connection',
    file: RESPONSE_HEAD,
    search: "statusLine[1] === '1' ? !connectionHas(headers, 'close') : connectionHas(headers, 'keep-alive')",
    replace: "!connectionHas(headers, 'close')",
  },
  {
    name: 'a 304 is expected to have a body',
    file: RESPONSE_HEAD,
    search: " || status === 304) return { kind: 'none' };",
    replace: ") return { kind: 'none' };",
  },
  {
    name: 'an idle connection is used beyond the server’s timeout',
    file: RESPONSE_HEAD,
    search: 'Number(seconds) * 1000 - 1000',
    replace: 'Number(seconds) * 1000',
    tests: ['test/cache/wire/http1/'],
  },
  {
    name: 'a chunk longer than announced is accepted',
    file: 'cache/wire/http1/chunked-decoder.ts',
    search: "if (expects === 'data-end' && byte !== (line === '' ? 0x0d : 0x0a))",
    replace: "if (expects === 'data-end' && line.length > 1)",
    tests: ['test/cache/wire/http1/', 'test/cache/origins/s3/'],
  },
  {
    name: 'bytes after the end of the body do not end the connection',
    file: 'cache/wire/http1/body-collector.ts',
    search: "return own.length === bytes.length ? 'complete' : 'full';",
    replace: "return 'complete';",
  },
  {
    name: 'progress before a pause counts against the stall limit',
    file: 'cache/wire/http1/deadline.ts',
    search: 'this.#startMs = this.#progressMs = performance.now();\n    if (this.#timer === undefined',
    replace: 'if (this.#timer === undefined',
    tests: ['test/cache/wire/http1/'],
  },
  {
    name: 'a longer pause than our maximum is waited for',
    file: 'cache/engine/upstream/retry.ts',
    search: 'tries >= settings.attempts || askedMs > settings.backoffMaxMs || isLate',
    replace: 'tries >= settings.attempts || isLate',
  },
  {
    name: 'attempts are not counted from zero after progress',
    file: 'cache/engine/upstream/retry.ts',
    search: 'tries = 0;\n        startedMs = clock.now();',
    replace: 'startedMs = clock.now();',
  },
  {
    name: 'a forgotten chunk answers from the old generation of the catalog',
    file: 'cache/engine/upstream/catalog.ts',
    search: 'if (this.#old.has(path)) this.#put(path, false);',
    replace: 'if (this.#old.has(path)) this.#young.delete(path);',
  },
  {
    name: 'the identity is not read back after its write',
    file: 'cache/engine/upstream/origin-identity.ts',
    search: 'return after === undefined ? fingerprint : Buffer.from(after).toString',
    replace: 'return true ? fingerprint : Buffer.from(after ?? []).toString',
  },
  {
    name: 'a store whose bytes differ is trusted with conditional writes',
    file: STORE_PROBE,
    search: "verdict.condition === 'atomic' && isReadable",
    replace: "verdict.condition === 'atomic'",
  },
  {
    name: 'every replica probes at once',
    file: STORE_PROBE,
    search: 'const turns = Math.min(rank < 0 ? owners.length : rank, MAX_TURNS);',
    replace: 'const turns = Math.min(rank < 0 ? owners.length : 0, MAX_TURNS);',
  },
  {
    name: 'a first write whose response was lost counts as lost to another writer',
    file: 'cache/stores/object/exclusive-put.ts',
    search: "if (outcome === 'unknown' && ifOther === 'lose' && found === 'same') return 'won';",
    replace: '',
    tests: ['test/cache/stores/', 'test/cache/drivers.test.ts'],
  },
  {
    name: 'a racy store is written without a look',
    file: 'cache/stores/object/exclusive-put.ts',
    search: "if (ifOther === 'replace') return this.replace(upload, call);\n    }",
    replace: '}',
    tests: ['test/cache/stores/', 'test/cache/drivers.test.ts'],
  },
  {
    name: 'a stored range with another end is accepted',
    file: 'cache/stores/object/responses.ts',
    search: 'got.from !== range.from || got.to !== range.to || length',
    replace: 'got.from !== range.from || length',
    tests: ['test/cache/stores/', 'test/cache/drivers.test.ts'],
  },
  {
    name: 'a stored object with a content coding is accepted',
    file: 'cache/stores/object/responses.ts',
    search: "if ('content-encoding' in headers) throw wrong('a content coding');",
    replace: '',
    tests: ['test/cache/stores/', 'test/cache/drivers.test.ts'],
  },
  {
    name: 'a PUT answered with 404 is a missing chunk',
    file: 'cache/stores/object/store-errors.ts',
    search: "if (error.code !== 'chunk_missing') return error;",
    replace: "if (error.code !== '') return error;",
    tests: ['test/cache/stores/', 'test/cache/drivers.test.ts'],
  },
];
