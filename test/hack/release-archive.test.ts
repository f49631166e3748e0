/** The archives of a release: GNU tar reads them, and their bytes depend on nothing but their entries. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fileEntry, folder, tarOf, textFile, treeOf, type TarEntry } from '#hack/release.d/tar.ts';
import { sha256OfFile, writeGzip, writeStream } from '#hack/release.d/write.ts';

function scratch(): string {
  const path = mkdtempSync(join(tmpdir(), 'orca-archive-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

async function bytesOf(entries: Iterable<TarEntry>, mtime?: number): Promise<Buffer> {
  const parts = [];
  for await (const part of tarOf(entries, mtime)) parts.push(part);
  return Buffer.concat(parts);
}

/** As GNU tar lists them. */
function listed(archive: Buffer): string[] {
  const text = execFileSync('tar', ['-tv', '--full-time', '--utc', '--numeric-owner'], {
    input: archive,
    encoding: 'utf8',
  });
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.replaceAll(/ +/g, ' '));
}

describe('tar', () => {
  test('modes, owner, time, links and sizes are those of the entries', async () => {
    const entries: TarEntry[] = [
      folder('tmp', 0o1777),
      textFile('etc/hello', 'hello\n'),
      textFile('bin/run', '#!/bin/sh\n', 0o755),
      { path: 'lib', type: 'link', mode: 0o777, target: 'usr/lib' },
    ];
    expect(listed(await bytesOf(entries, 1_000_000_000))).toEqual([
      'drwxrwxrwt 0/0 0 2001-09-09 01:46:40 tmp/',
      '-rw-r--r-- 0/0 6 2001-09-09 01:46:40 etc/hello',
      '-rwxr-xr-x 0/0 10 2001-09-09 01:46:40 bin/run',
      'lrwxrwxrwx 0/0 0 2001-09-09 01:46:40 lib -> usr/lib',
    ]);
  });

  test.for([99, 100, 101, 240, 989, 1100])('a path of %i bytes survives', async (length) => {
    const out = scratch();
    const path = 'a/'.repeat(length).slice(0, length - 1) + 'é'.slice(0, 1);
    execFileSync('tar', ['-x', '-C', out], { input: await bytesOf([textFile(path, 'x'), textFile('next', 'y')]) });
    expect([readFileSync(join(out, path), 'utf8'), readFileSync(join(out, 'next'), 'utf8')]).toEqual(['x', 'y']);
  });

  test('a long target of a link survives', async () => {
    const target = `${'b/'.repeat(80)}c`;
    expect(listed(await bytesOf([{ path: 'l', type: 'link', mode: 0o777, target }]))[0]).toContain(`l -> ${target}`);
  });

  test.for([0, 1, 511, 512, 513])('a file of %i bytes is padded to a block', async (size) => {
    const archive = await bytesOf([textFile('f', 'x'.repeat(size))]);
    expect(archive.length).toBe(512 + Math.ceil(size / 512) * 512 + 1024);
  });

  test('a file that changes while it is read is an error', async () => {
    const file = join(scratch(), 'f');
    writeFileSync(file, 'four');
    const entry = fileEntry('f', file, 0o644);
    writeFileSync(file, 'fourteen');
    await expect(bytesOf([entry])).rejects.toThrow('changed while it was read');
  });
});

describe('a folder as entries', () => {
  function tree(order: readonly string[], umaskMode: number, time: number): string {
    const root = scratch();
    mkdirSync(join(root, 'd'));
    for (const name of order) {
      writeFileSync(join(root, name), name);
      chmodSync(join(root, name), umaskMode);
      utimesSync(join(root, name), time, time);
    }
    symlinkSync('a', join(root, 'z'));
    return root;
  }

  test('the order of creation, times and the umask do not matter', async () => {
    const one = tree(['a', 'b', 'd/c'], 0o644, 1000);
    const other = tree(['d/c', 'b', 'a'], 0o600, 2000);
    const options = { prefix: 'app' };
    expect(await bytesOf(treeOf(one, options))).toEqual(await bytesOf(treeOf(other, options)));
    expect([...treeOf(one, options)].map(({ path }) => path)).toEqual(['app/a', 'app/b', 'app/d', 'app/d/c', 'app/z']);
  });

  test('a program stays a program, and left out folders are not entered', () => {
    const root = tree(['a', 'd/c'], 0o700, 1);
    const entries = [...treeOf(root, { prefix: '', without: (path) => path === 'd' })];
    expect(entries.map(({ path, mode }) => [path, mode])).toEqual([
      ['a', 0o755],
      ['z', 0o777],
    ]);
  });
});

describe('compression', () => {
  test('two runs write the same bytes, and both digests are reported', async () => {
    const out = scratch();
    const entries = [textFile('a', 'x'.repeat(100_000))];
    const [one, two] = [join(out, 'one.gz'), join(out, 'two.gz')];
    const written = await writeGzip(tarOf(entries), one);
    expect(await writeGzip(tarOf(entries), two)).toEqual(written);
    expect(readFileSync(two)).toEqual(readFileSync(one));
    expect(await sha256OfFile(one)).toEqual({ sha256: written.sha256, sizeBytes: written.sizeBytes });
    expect((await writeStream(tarOf(entries), join(out, 'plain'))).sha256).toBe(written.plainSha256);
    // The header has no time and no name.
    expect([...readFileSync(one).subarray(3, 8)]).toEqual([0, 0, 0, 0, 0]);
  });
});
