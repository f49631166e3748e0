import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { shellScripts } from '#hack/lint/shell-scripts.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const COMMON = join(ROOT, 'hack/lib/common.sh');

/** Runs a script that sources hack/lib/common.sh like the commands in hack/. */
async function run(body: string): Promise<{ status: number | null; stderr: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'orca-script-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const script = join(folder, 'example');
  await writeFile(script, `set -euo pipefail\n. ${COMMON}\n${body}\n`);
  const { status, stderr } = spawnSync('bash', [script], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], HOME: folder },
  });
  return { status, stderr };
}

describe('shell scripts', () => {
  test('report the command that ended them', async () => {
    expect(await run('false')).toEqual({
      status: 1,
      stderr: expect.stringMatching(/^example: .*:3: exit code 1 from: false$/m),
    });
  });

  test.for([
    ['in a function', 'inner() { (exit 7); }\ninner'],
    ['in a subshell', '( (exit 7) )'],
    ['in a command substitution', 'value=$(exit 7)'],
    ['in a pipeline', '(exit 7) | cat'],
  ] as const)('report a command that failed %s', async ([, body]) => {
    const { status, stderr } = await run(body);
    expect(status).toBe(7);
    expect(stderr).toContain('exit code 7 from: ');
  });

  test('report nothing for a failure that the script handles', async () => {
    expect(await run('if false; then :; fi\nfalse || true\n! true')).toMatchObject({ stderr: '' });
  });

  test('print only the message of die', async () => {
    expect(await run('die "no such part"')).toEqual({ status: 1, stderr: 'example: no such part\n' });
  });

  test.for([
    ['packages: 10\nfmt\nk8s.io/api/core/v1\n', ', at least 20 % of 10 packages, at most 80 s left'],
    ['packages: 10\ngo: downloading k8s.io/api v0.36.3\n', ''],
    ['packages: 1\nfmt\n', ''],
    ['no packages\n', ''],
  ] as const)('show the progress of a Go build with the log %j', async ([log, progress]) => {
    const body = `cat >log <<'END'\n${log}END\nsay "left:$(share_of log 20)" >&2`;
    expect((await run(`cd "$HOME"\n${body}`)).stderr).toBe(`example: left:${progress}\n`);
  });

  const bash = shellScripts(ROOT).filter((path) => /^#!.*bash/.test(readFileSync(join(ROOT, path), 'utf8')));

  test.for(bash)('install the report or delegate to a script that does: %s', (path) => {
    expect(readFileSync(join(ROOT, path), 'utf8')).toMatch(
      /lib\/common\.sh"|^trap .* ERR$|^exec "\$\(dirname "\$0"\)/m,
    );
  });

  test.for(bash.filter((path) => /^hack\/[a-z]+$/.test(path)))('print their usage: %s', (path) => {
    expect(execFileSync(join(ROOT, path), ['--help'], { encoding: 'utf8' })).toMatch(/^Usage: hack\//);
  });
});
