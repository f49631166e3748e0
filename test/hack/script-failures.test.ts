/** Each step of `hack/demo` and `hack/image` fails in turn: the last line names the step. */
import { spawnSync } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');
/** Bash and the programs that the scripts call; `docker`, `node` and the other scripts of hack/ are stubs. */
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const EXIT_CODE = 7;
/** Fails if its name and arguments contain FAIL_AT. `cluster status` reports that no cluster is running. */
const STUB = `#!/usr/bin/env bash
call="\${0##*/} $*"
[[ -z $FAIL_AT || $call != *"$FAIL_AT"* ]] || exit ${EXIT_CODE}
case $call in
  'tools env') printf 'export PATH=%q"$PATH"\\n' "$STUBS:" ;;
  'cluster status') exit 1 ;;
  'npm ci'*) mkdir -p node_modules ;;
  'image '*) touch "\${@: -1}/orcacache-dev.tar" ;;
esac
`;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orca-failures-'));
  const hack = join(folder, 'hack');
  await mkdir(join(folder, 'stubs'));
  for (const name of ['demo', 'image', 'lib', 'lab', 'demo-support', 'Dockerfile.support'])
    await cp(join(ROOT, 'hack', name), join(hack, name), { recursive: true });
  for (const name of ['package.json', 'package-lock.json', '.npmrc', 'Dockerfile.cache', 'crds', 'shared', 'cache'])
    await cp(join(ROOT, name), join(folder, name), { recursive: true });
  for (const name of ['tools', 'cluster']) await stub(join(hack, name));
  for (const name of ['docker', 'node', 'npm', 'aws']) await stub(join(folder, 'stubs', name));
});
afterAll(() => rm(folder, { recursive: true }));

async function stub(path: string): Promise<void> {
  await writeFile(path, STUB);
  await chmod(path, 0o755);
}

/** Each time with another cache folder, so that nothing is installed. */
let runs = 0;
function run(script: string, failAt: string, ...args: readonly string[]) {
  const { status, stderr, stdout } = spawnSync(join(folder, 'hack', script), args, {
    encoding: 'utf8',
    env: {
      HOME: folder,
      ORCACACHE_CACHE_DIR: join(folder, `cache-${++runs}`),
      PATH: `${join(folder, 'stubs')}:${SYSTEM_PATH}`,
      STUBS: join(folder, 'stubs'),
      FAIL_AT: failAt,
      // An engine at the default socket, which the stub is: no private one is started.
      DOCKER_HOST: 'unix:///nowhere',
    },
  });
  return { status, lastLine: stderr.trimEnd().split('\n').at(-1), output: stdout + stderr };
}

describe.runIf(process.getuid?.() === 0)('hack/demo', () => {
  beforeAll(async () => {
    await rm(join(folder, 'hack', 'image'));
    await stub(join(folder, 'hack', 'image'));
  });
  afterAll(() => cp(join(ROOT, 'hack', 'image'), join(folder, 'hack', 'image')));

  test('without a failure, ends with 0', () => {
    expect(run('demo', '')).toMatchObject({ status: 0 });
  });

  test.for([
    ['tools node', 'hack/tools node'],
    ['tools runtime', 'hack/tools runtime store helm docker'],
    ['tools cluster', 'hack/tools cluster'],
    ['cluster up', 'hack/cluster up'],
    ['image cache', 'hack/image cache operator support --save'],
    ['cluster load', 'hack/cluster load'],
    ['main.ts', 'node hack/demo.d/main.ts'],
  ] as const)('names the step that fails: %s', ([failAt, named]) => {
    const { status, lastLine } = run('demo', failAt);
    expect({ status, lastLine }).toEqual({
      status: EXIT_CODE,
      lastLine: expect.stringContaining(`demo: exit code ${EXIT_CODE} from: ${named}`),
    });
  });

  test('continues without the AWS CLI', () => {
    const { status, output } = run('demo', 'tools clients');
    expect({ status, output }).toEqual({
      status: 0,
      output: expect.stringContaining('continuing without the AWS CLI'),
    });
  });
});

describe('hack/image', () => {
  test.for([
    ['docker version', 'image: no container engine responds at DOCKER_HOST=unix:///nowhere'],
    ['docker build', 'image: building orcacache/cache:dev failed'],
    ['docker push', 'from: docker push --quiet "$registry/$image:$tag"'],
    ['docker tag', 'from: docker tag'],
    ['docker save', 'from: docker save'],
    ['npm ci', 'image: production dependencies of the cache failed after'],
  ] as const)('names the step that fails: %s', ([failAt, named]) => {
    const args = ['cache', '--push', 'registry.example.com', '--save', join(folder, 'saved')];
    const { status, lastLine } = run('image', failAt, ...args);
    expect(status).toBeGreaterThan(0);
    expect(lastLine).toContain(named);
  });
});

/** Sources hack/tools' functions for items, in a process of its own. */
function install(cacheFolder: string, body: string) {
  const script = `set -euo pipefail\n. ${ROOT}/hack/lib/common.sh\nuse lib/tools/item\n${body}\n`;
  return spawnSync('bash', ['-c', script, 'example'], {
    encoding: 'utf8',
    env: { HOME: cacheFolder, PATH: SYSTEM_PATH, ORCACACHE_CACHE_DIR: cacheFolder },
  });
}

describe('hack/tools', () => {
  test('two processes that need the same item build it once', async () => {
    const cacheFolder = await mkdtemp(join(folder, 'cache-'));
    const one = `item thing 1; build() { echo x >>"$CACHE_DIR/builds"; touch "$1/it"; }; item_install thing '1 s' thing build`;
    const { status, stdout } = install(
      cacheFolder,
      `(${one}) & first=$!; (${one}) & second=$!; wait $first; wait $second; cat "$CACHE_DIR/builds"`,
    );
    expect(status).toBe(0);
    expect(stdout.split('\n').filter((line) => line === 'x')).toEqual(['x']);
  });

  test('an item does not wait for the build of another one', async () => {
    const cacheFolder = await mkdtemp(join(folder, 'cache-'));
    // The slow build ends only after the other one.
    const slow = `item slow 1; build() { until [[ -e $CACHE_DIR/items/quick ]]; do sleep 0.05; done; }; item_install slow '1 s' slow build`;
    const quick = `item quick 1; build() { touch "$1/it"; }; item_install quick '1 s' quick build`;
    const { status, stderr } = install(cacheFolder, `(${slow}) & pid=$!; sleep 0.2; (${quick}); wait $pid`);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});
