/** The probe of conditional writes, against real stores and a server with known defects. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { judgeConditionalWrites } from '#cache/core/store-verdict.ts';
import { openFilesystemStore } from '#cache/stores/filesystem/store.ts';
import { openS3Store } from '#cache/stores/s3/store.ts';
import { startConditionServer } from '#test/support/condition-server.ts';
import { startVersitygw } from '#test/support/versitygw.ts';

process.env['ORCA_TEST_KEY'] = 'key';
const S3 = {
  region: 'us-east-1',
  forcePathStyle: true,
  caFile: '',
  credentials: { kind: 'env', accessKeyIdVar: 'ORCA_TEST_KEY', secretAccessKeyVar: 'ORCA_TEST_KEY' },
  bucket: 'chunks',
} as const;
const { signal } = new AbortController();
const NAME = '_orca/probe/0123456789abcdef';

test.for(['atomic', 'racy'] as const)(
  'a versitygw whose writes are %s is classified as such, each time',
  async (kind) => {
    await using gateway = await startVersitygw({ kind, buckets: ['chunks'] });
    const store = openS3Store({ ...gateway.client, bucket: 'chunks' });
    onTestFinished(() => store.close());
    for (let round = 0; round < 3; round++) {
      const findings = await store.probe(NAME, { signal });
      expect(judgeConditionalWrites(findings)).toBe(kind);
      expect(findings.problems).toEqual([]);
      expect(findings.versioned).toBe(false);
      expect(await store.getSmall(NAME, { signal })).toBeUndefined();
      expect(await store.getSmall(`${NAME}.first`, { signal })).toBeUndefined();
    }
  },
);

test.for([
  ['atomic', 'atomic'],
  ['busy', 'atomic'],
  ['racy', 'racy'],
  ['overwriting', 'racy'],
] as const)('a server whose condition is %s is classified as %s by a race of 16 writers', async ([kind, condition]) => {
  await using server = await startConditionServer({ kind });
  const store = openS3Store({ ...S3, endpoint: server.endpoint });
  onTestFinished(() => store.close());
  const findings = await store.probe(NAME, { signal });
  expect(judgeConditionalWrites(findings)).toBe(condition);
  expect(findings.race?.outcomes).toHaveLength(16);
  expect(server.mostWriters).toBeGreaterThan(1);
  expect(server.objects.size).toBe(0);
});

test('a filesystem is classified as atomic', async () => {
  const path = await mkdtemp(join(tmpdir(), 'orca-probe-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  const store = openFilesystemStore({ path });
  const findings = await store.probe(NAME, { signal });
  expect(judgeConditionalWrites(findings)).toBe('atomic');
  expect(findings.race?.outcomes).toHaveLength(16);
  expect(findings.versioned).toBe(false);
  const left = await readdir(path, { recursive: true, withFileTypes: true });
  expect(left.filter((entry) => entry.isFile())).toEqual([]);
});
