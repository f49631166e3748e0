/** Wrong arguments of `hack/release VERSION` are refused before anything is built, with the remedy. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  gitState,
  parseOptions,
  parseOut,
  parsePlatform,
  parseRegistry,
  parseVersion,
  sourceOf,
} from '#hack/release.d/options.ts';

const CLEAN = { commit: 'a'.repeat(40), epochSeconds: 1000, changed: [] };
const DIRTY = { ...CLEAN, changed: [' M cache/main.ts', '?? notes'] };

function scratch(): string {
  const path = mkdtempSync(join(tmpdir(), 'orca-options-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

test.for(['0.1.0', '1.2.3', '10.20.30', '1.2.3-rc.1', '0.0.0-test', '1.0.0-alpha-2.x'])(
  '%s is a version',
  (version) => {
    expect(parseVersion(version)).toBe(version);
  },
);

test.for(['', 'v', '1', '1.2', '01.2.3', '1.2.3+build', '1.2.3-', '1.2.3-a..b', ' 1.2.3', '1.2.3\n', 'latest', '../x'])(
  '%j is not a version',
  (version) => {
    expect(() => parseVersion(version)).toThrow('is not a semantic version such as 1.2.3');
  },
);

test('a version with a v in front is refused with the right one', () => {
  expect(() => parseVersion('v1.2.3')).toThrow('write 1.2.3');
});

test.for([
  '',
  'registry.example.com',
  'registry.example.com:5000/storage',
  'localhost/x',
  'registry:5000',
  'ghcr.io/a/b_c',
])('%j is a registry', (registry) => {
  expect(parseRegistry(registry)).toBe(registry);
});

test.for([
  'acme',
  'acme/storage',
  'https://registry.example.com',
  'Registry.example.com',
  'a.b/',
  'a.b//c',
  'a.b/c:tag',
  'a.b/C',
])('%j is not a registry', (registry) => {
  expect(() => parseRegistry(registry)).toThrow('is not HOST[:PORT][/FOLDER…] in lower case');
});

test('an unknown platform is refused with the known ones', () => {
  expect(parsePlatform('linux/arm64')).toBe('arm64');
  expect(() => parsePlatform('linux/s390x')).toThrow('choose from: linux/amd64, linux/arm64');
});

test('a folder with files is refused', () => {
  const folder = scratch();
  expect(parseOut(folder)).toBe(folder);
  writeFileSync(join(folder, 'old'), '');
  expect(() => parseOut(folder)).toThrow('is not empty');
});

test('a missing key file is refused with its name', () => {
  const args = ['--version', '1.2.3', '--out', scratch(), '--allow-dirty', '--sign-key', '/nowhere/key.pem'];
  expect(() => parseOptions(args, '.')).toThrow('--sign-key /nowhere/key.pem cannot be read');
});

test('a checkout with changes is refused, unless they are allowed', () => {
  expect(() => sourceOf(DIRTY, false)).toThrow('has changes that are in no commit (cache/main.ts)');
  expect(sourceOf(DIRTY, true).revision).toBe(`${DIRTY.commit}-dirty`);
  expect(sourceOf(CLEAN, false)).toEqual({ revision: CLEAN.commit, epochSeconds: 1000 });
});

test('a folder that is no checkout is refused, unless that is allowed', () => {
  const git = gitState(scratch());
  expect(git).toBeUndefined();
  expect(() => sourceOf(git, false)).toThrow('is not a git checkout');
  expect(sourceOf(git, true)).toEqual({ revision: 'unknown', epochSeconds: 0 });
});

test('SOURCE_DATE_EPOCH replaces the time of the commit', () => {
  expect(sourceOf(CLEAN, false, '5').epochSeconds).toBe(5);
  expect(() => sourceOf(CLEAN, false, 'today')).toThrow("SOURCE_DATE_EPOCH 'today' is not in seconds");
});

test('both platforms are the default', () => {
  const { architectures, key, registry } = parseOptions(
    ['--version', '1.2.3', '--out', scratch(), '--allow-dirty'],
    '.',
  );
  expect({ architectures, key, registry }).toEqual({ architectures: ['amd64', 'arm64'], key: undefined, registry: '' });
});
