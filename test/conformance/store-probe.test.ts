/** What real stores' conditional writes are worth, as the probe finds out. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { judge } from '#cache/core/store-verdict.ts';
import { openFilesystemStore } from '#cache/stores/filesystem.ts';
import { openS3Store } from '#cache/stores/s3.ts';
import { startVersitygw } from '#test/support/versitygw.ts';

const { signal } = new AbortController();
const NAME = '_orca/probe/0123456789abcdef';

test.for(['atomic', 'racy'] as const)('a versitygw that is %s is found to be so, each time', async (kind) => {
  await using gateway = await startVersitygw({ kind, buckets: ['chunks'] });
  const store = openS3Store({ ...gateway.client, bucket: 'chunks' });
  onTestFinished(() => store.close());
  for (let round = 0; round < 3; round++) {
    const findings = await store.probe(NAME, { signal });
    expect(judge(findings)).toBe(kind);
    expect(findings.problems).toEqual([]);
    expect(findings.versioned).toBe(false);
    expect(await store.getSmall(NAME, { signal })).toBeUndefined();
    expect(await store.getSmall(`${NAME}.first`, { signal })).toBeUndefined();
  }
});

test('a filesystem is atomic', async () => {
  const path = await mkdtemp(join(tmpdir(), 'orca-probe-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  const store = openFilesystemStore({ path });
  const findings = await store.probe(NAME, { signal });
  expect(judge(findings)).toBe('atomic');
  expect(findings.race?.offers).toHaveLength(16);
  expect(findings.versioned).toBe(false);
  const left = await readdir(path, { recursive: true, withFileTypes: true });
  expect(left.filter((entry) => entry.isFile())).toEqual([]);
});
