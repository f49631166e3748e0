/** The findings of the probe without a race, and the commits that follow; the conformance tests include races. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { judgeConditionalWrites } from '#cache/core/store-verdict.ts';
import type { ProbedStore } from '#cache/engine/ports.ts';
import { openS3Store } from '#cache/stores/s3/store.ts';
import { chunkFor, metadataFor, patternBytes } from '#test/support/chunks.ts';
import {
  startConditionServer,
  type ConditionServer,
  type ConditionServerOptions,
} from '#test/support/condition-server.ts';
import { sleeplessClock } from '#test/support/fake-clock.ts';

process.env['ORCA_TEST_KEY'] = 'key';
const { signal } = new AbortController();
const NAME = '_orca/probe/0123456789abcdef';

async function open(options: ConditionServerOptions): Promise<{ server: ConditionServer; store: ProbedStore }> {
  const server = await startConditionServer(options);
  const store = openS3Store({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    caFile: '',
    credentials: { kind: 'env', accessKeyIdVar: 'ORCA_TEST_KEY', secretAccessKeyVar: 'ORCA_TEST_KEY' },
    bucket: 'chunks',
    clock: sleeplessClock,
  });
  onTestFinished(async () => {
    await store.close();
    await server[Symbol.asyncDispose]();
  });
  return { server, store };
}

test.for([
  ['ignored', 'ignored'],
  ['unsupported', 'unsupported'],
  ['conflicting', 'conflicting'],
  ['conflicts for losers', 'conflicting'],
] as const)(
  'a store whose condition is %s is classified as %s, and the probe deletes its objects',
  async ([kind, condition]) => {
    const { server, store } = await open({ kind });
    const findings = await store.probe(NAME, { signal });
    expect(judgeConditionalWrites(findings)).toBe(condition);
    expect(findings.problems).toEqual([]);
    expect(server.objects.size).toBe(0);
  },
);

test('a store that ignores the condition is classified without a race', async () => {
  const { server, store } = await open({ kind: 'ignored' });
  expect((await store.probe(NAME, { signal })).race).toBeUndefined();
  expect(server.requests.filter((request) => request.startsWith('PUT'))).toEqual([
    `PUT /chunks/${NAME}.first if absent`,
    `PUT /chunks/${NAME}.first if absent`,
    `PUT /chunks/${NAME}`,
  ]);
});

test.for([
  ['ranges', 'range'],
  ['metadata', 'metadata'],
  ['lists', 'list'],
  ['deletion', 'delete'],
] as const)('a store without %s is reported', async ([lacks, problem]) => {
  const { store } = await open({ kind: 'ignored', lacks });
  const findings = await store.probe(NAME, { signal });
  expect(findings.problems).toEqual([problem]);
});

test.for([
  ['Enabled', true],
  ['none', false],
  ['unknown', false],
  ['refused', undefined],
] as const)('the versioning of a bucket that answers %s', async ([versioning, versioned]) => {
  const { store } = await open({ kind: 'ignored', versioning });
  expect((await store.probe(NAME, { signal })).versioned).toBe(versioned);
});

test('a stopped store is store_unavailable', async () => {
  const { server, store } = await open({ kind: 'atomic' });
  await server[Symbol.asyncDispose]();
  await expect(store.probe(NAME, { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
});

describe('a commit to a store whose condition is', () => {
  const body = patternBytes(100_000);
  const chunk = chunkFor(body, 'object');
  const metadata = metadataFor(chunk, body);
  const path = `/chunks/${chunk.path}`;
  const commit = (store: ProbedStore) => store.commit(chunk, metadata, [body], { signal });

  test.for(['atomic', 'racy', 'ignored', 'unsupported', 'conflicting'] as const)(
    '%s, but not trusted, queries first and writes unconditionally',
    async (kind) => {
      const { server, store } = await open({ kind });
      expect(await commit(store)).toBe('won');
      expect(await commit(store)).toBe('lost');
      expect(server.requests).toEqual([`HEAD ${path}`, `PUT ${path}`, `HEAD ${path}`]);
    },
  );

  test('trusted is one conditional write; a rejected one is followed by a query', async () => {
    const { server, store } = await open({ kind: 'atomic' });
    store.trustConditions(true);
    expect(await commit(store)).toBe('won');
    expect(await commit(store)).toBe('lost');
    expect(server.requests).toEqual([`PUT ${path} if absent`, `PUT ${path} if absent`, `HEAD ${path}`]);
    store.trustConditions(false);
    expect(await commit(store)).toBe('lost');
    expect(server.requests).toHaveLength(4);
  });

  test.for(['atomic', 'racy', 'ignored', 'unsupported', 'conflicting'] as const)(
    '%s creates a small object once, and does not overwrite it',
    async (kind) => {
      const { store } = await open({ kind });
      const name = '_orca/identity/far';
      expect(await store.putSmall(name, Buffer.from('one'), { signal, ifAbsent: true })).toBe('won');
      expect(await store.putSmall(name, Buffer.from('two'), { signal, ifAbsent: true })).toBe('lost');
      expect(Buffer.from((await store.getSmall(name, { signal })) ?? []).toString()).toBe('one');
    },
  );
});
