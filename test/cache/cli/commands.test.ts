/** Golden outputs of every command, with recorded answers of pods. Update them with -u, and review their diff. */
import { hash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { KubeError } from '#shared/kube/error.ts';
import { healthyWorld, NOW_MS, recordedPod, runCli, type Json, type World } from '#test/support/cli-world.ts';

const GOLDEN = join(import.meta.dirname, '../../golden/cli');
const MIB = 1024 * 1024;
const MODIFIED_MS = Date.parse('2026-11-01T08:00:00Z');

function listed(key: string, sizeBytes: number, storedBytes: number): Json {
  const count = (bytes: number) => Math.ceil(bytes / (8 * MIB));
  return {
    key,
    sizeBytes,
    etag: 'abc123',
    lastModifiedMs: MODIFIED_MS,
    storageClass: 'STANDARD',
    chunkCount: count(sizeBytes),
    storedBytes,
    storedChunks: count(storedBytes),
    version: versionOf(key),
  };
}

function versionOf(key: string): string {
  return hash('sha256', key);
}

/** Two pages of a bucket, and an object of three chunks: the first in memory at b, the second stored, the third nowhere. */
function filledWorld(): World {
  const world = healthyWorld();
  world.objects = (pod, query) => {
    if (query['bucket'] !== 'models')
      throw new KubeError(404, 'bucket_not_found', 'GET /p: 404 bucket x is not served');
    if (query['key'] !== undefined) return chunks(pod, query['stored'] !== false);
    if (query['after'] === '')
      return {
        items: [
          { prefix: 'llama/old/' },
          { ...listed('llama/config.json', 700, 700), pins: [], lastReadMs: NOW_MS - 30_000 },
          { ...listed('llama/m-1', 24 * MIB, 16 * MIB), pins: ['llama', 'nightly'], lastReadMs: NOW_MS - 9_000_000 },
        ],
        problems: [],
        next: 'llama/m-1',
      };
    return {
      items: [{ ...listed('llama/m-2\u001b[31m', 24 * MIB, 0), pins: ['llama'] }, listed('llama/empty', 0, 0)],
      problems: ['listing was slow'],
    };
  };
  // The owner of a shard has reads that are not in the cachestore yet.
  world.reads = (pod, versions) => ({
    lastReadMs: versions.map((version) =>
      pod === 'models-b' && version === `${versionOf('llama/m-1')}.3` ? NOW_MS - 600_000 : null,
    ),
  });
  return world;
}

function chunks(pod: string, stored: boolean): Json {
  const chunk = (index: number, more: Json): Json => ({
    index,
    from: index * 8 * MIB,
    to: Math.min((index + 1) * 8 * MIB, 20 * MIB),
    path: `models-eu/${'ab'.repeat(32)}/${index}`,
    coordinator: `10.0.0.${index % 2}:8444`,
    stored: stored ? index < 2 : null,
    inMemory: false,
    filling: false,
    ...(stored && index < 2 && { storedBytes: 8 * MIB, storedAtMs: MODIFIED_MS }),
    ...more,
  });
  return {
    bucket: 'models',
    key: 'llama/m-1',
    origin: { id: 'models-eu', bucket: 'far-models', key: 'llama/m-1' },
    sizeBytes: 20 * MIB,
    etag: 'abc123',
    metadata: { known: true, ageMs: 12_000, stale: false },
    range: { from: 0, to: 20 * MIB },
    chunkSizeBytes: 8 * MIB,
    chunkCount: 3,
    self: pod === 'models-a' ? '10.0.0.0:8444' : '10.0.0.1:8444',
    epoch: 'e1',
    ...(stored && { storedBytes: 16 * MIB }),
    problems: [],
    chunks: [chunk(0, { inMemory: pod === 'models-b' }), chunk(1, {}), chunk(2, {})],
  };
}

describe('golden output', () => {
  test.for([
    ['status', 'status'],
    ['status-wide', 'status models -o wide'],
    ['status-json', 'status models -o json'],
    ['top', 'top models'],
    ['top-json', 'top models -o json'],
    ['doctor', 'doctor models'],
    ['doctor-wide', 'doctor models -o wide'],
    ['doctor-json', 'doctor -o json'],
    ['ls', 'ls s3://models/llama/'],
    ['ls-wide', 'ls s3://models/llama/ -o wide'],
    ['ls-json', 'ls s3://models/llama/ -o json'],
    ['ls-cached', 'ls s3://models/llama/ --cached'],
    ['du', 'du'],
    ['du-json', 'du -o json'],
    ['du-prefix', 'du s3://models/llama/'],
    ['du-prefix-yaml', 'du s3://models/llama/ -o yaml'],
    ['explain', 'explain s3://models/llama/m-1'],
    ['explain-wide', 'explain s3://models/llama/m-1 -o wide'],
    ['explain-json', 'explain s3://models/llama/m-1 -o json'],
    ['purge', 'purge s3://models/llama/m-1'],
    ['purge-recursive', 'purge s3://models/llama/ --recursive'],
    ['purge-json', 'purge s3://models/llama/ -r --dry-run -o json'],
    ['purge-chunks', 'purge s3://models/llama/ -r --chunks'],
    ['purge-chunks-json', 'purge s3://models/llama/m-1 --chunks -o json'],
    ['completion-bash', 'completion bash'],
    ['completion-zsh', 'completion zsh'],
    ['completion-kubectl', 'completion kubectl'],
    ['help', '--help'],
    ['options', 'options'],
  ])('%s', async ([name, line]) => {
    const { exitCode, out, err } = await runCli(line!, filledWorld());
    expect(exitCode).toBe(0);
    await expect(`$ kubectl orca ${line}\n${out}${err === '' ? '' : `--- stderr\n${err}`}`).toMatchFileSnapshot(
      join(GOLDEN, `${name}.txt`),
    );
  });

  test('explain names the worker that coordinates a chunk, whichever worker of its pod has answered', async () => {
    const world = filledWorld();
    const container = { name: 'cache', ports: ['edge', 'peer', 'peer-1', 'ops'].map((name) => ({ name })) };
    world.pods = world.pods.map((pod, index) => ({
      ...pod,
      resource: { ...pod.resource, spec: { containers: [container] }, status: { podIP: `10.0.0.${index}` } },
    }));
    const addresses = ['10.0.0.0:8445', '10.0.0.1:8444', '10.0.0.9:8444'];
    world.objects = (pod) => {
      const page = chunks(pod, true);
      const items = page['chunks'] as Json[];
      return {
        ...page,
        self: '10.0.0.0:8445',
        chunks: items.map((each, at) => ({ ...each, coordinator: addresses[at] })),
      };
    };
    const { out } = await runCli('explain s3://models/llama/m-1 -o json', world);
    expect((JSON.parse(out) as { chunks: Json[] }).chunks).toMatchObject([
      { coordinator: 'models-a', worker: 1 },
      { coordinator: 'models-b', worker: 0 },
      { coordinator: '10.0.0.9:8444', worker: null },
    ]);
    expect((await runCli('explain s3://models/llama/m-1', world)).out).toMatch(/models-a\/1 [^]*models-b\/0 /);
  });

  test('status of a cache with trouble', async () => {
    const world = filledWorld();
    const broken = recordedPod('models-c', 2);
    world.pods.push({
      ...broken,
      status: undefined,
      failure: new KubeError(503, '', 'GET /p: 503 dial tcp: i/o timeout'),
    });
    const { exitCode, out } = await runCli('status models', world);
    expect(exitCode).toBe(0);
    await expect(out).toMatchFileSnapshot(join(GOLDEN, 'status-trouble.txt'));
    expect((await runCli('doctor models', world)).exitCode).toBe(1);
  });
});

test('JSON and YAML have the same data', async () => {
  const [json, yaml] = [await runCli('status -o json', filledWorld()), await runCli('status -o yaml', filledWorld())];
  expect(parse(yaml.out)).toEqual(JSON.parse(json.out));
});

test('no escape sequence of a key reaches a terminal', async () => {
  for (const line of ['ls s3://models/llama/', 'purge s3://models/llama/ -r', 'ls s3://models/llama/ -o json'])
    expect((await runCli(line, filledWorld())).out).not.toContain('\u001b');
});

test('purge runs the purge command in a pod, in batches, and names a refusal', async () => {
  const world = filledWorld();
  await runCli('purge s3://models/llama/ -r', world);
  expect(world.commands).toEqual([
    [
      'node',
      'cache/main.ts',
      'purge',
      '--',
      'models',
      'llama/config.json',
      'llama/m-1',
      'llama/m-2\u001b[31m',
      'llama/empty',
    ],
  ]);
  world.exec = () => ({ exitCode: 1, stdout: '', stderr: 'not purged: 404: bucket models is not served\n' });
  const { exitCode, err } = await runCli('purge s3://models/a', world);
  expect([exitCode, err]).toEqual([1, 'error: not purged: 404: bucket models is not served\n']);
});

test('chunks are deleted by the same command, in a release that can', async () => {
  const world = filledWorld();
  await runCli('purge s3://models/a --chunks', world);
  expect(world.commands).toEqual([['node', 'cache/main.ts', 'purge', '--chunks', '--', 'models', 'a']]);
  world.exec = () => ({ exitCode: 1, stdout: '', stderr: "TypeError: Unknown option '--chunks'. To specify …" });
  const { exitCode, err } = await runCli('purge s3://models/a --chunks', world);
  expect([exitCode, err]).toEqual([
    1,
    'error: pod models-a runs a release that cannot delete chunks: update the cache\n',
  ]);
});

test('a pod of an older release, which purges one key at a time, gets one at a time', async () => {
  const world = filledWorld();
  world.exec = () => ({ exitCode: 0, stdout: '', stderr: '' });
  expect((await runCli('purge s3://models/llama/ -r', world)).exitCode).toBe(0);
  expect(world.commands.slice(1).map((command) => command.slice(5))).toEqual([
    ['llama/config.json'],
    ['llama/m-1'],
    ['llama/m-2\u001b[31m'],
    ['llama/empty'],
  ]);
});

test('top is redrawn on a terminal until it is interrupted, with rates since the last time', async () => {
  const world = healthyWorld();
  const interrupted = new AbortController();
  let looks = 0;
  const clock = {
    now: () => 0,
    date: () => 0,
    after: () => () => {},
    sleep: async () => {
      if (++looks === 3) interrupted.abort();
      interrupted.signal.throwIfAborted();
      world.pods = world.pods.map((pod) => {
        const totals = pod.top!['totals'] as Json;
        const top = {
          ...pod.top,
          dateMs: Number(pod.top!['dateMs']) + 1_000,
          totals: { ...totals, requests: Number(totals['requests']) + 25 },
        };
        return { ...pod, top };
      });
    },
  };
  const { exitCode, out } = await runCli('top models', world, {
    clock,
    signal: interrupted.signal,
    io: { isTerminal: true },
  });
  expect(exitCode).toBe(0);
  const screens = out.split('\u001b[H\u001b[2J').slice(1);
  expect(screens).toHaveLength(3);
  expect(screens[0]).toMatch(/^models-a +3.3 /m);
  expect(screens[2]).toMatch(/^models-a +25 /m);
  expect(screens[2]).toMatch(/^all +50 /m);
});

test.for([
  ['ls', /'' is not a name such as s3:\/\/BUCKET\/KEY/],
  ['ls models', /'models' is not a name/],
  ['ls s3://others/', /no cache serves bucket others in namespace ml: the caches are models/],
  ['ls s3://models --limit few', /--limit 'few' is not a number/],
  ['explain s3://models', /a key is missing/],
  ['explain s3://models/a --range 1-2', /--range '1-2' is not a range/],
  ['status other', /no cache 'other' in namespace ml: it has models/],
  ['status a b', /unexpected argument 'b'/],
  ['status -n', /flag needs an argument: -n/],
  ['status -o html', /invalid value 'html' for -o: one of json, yaml, wide/],
  ['status --watch', /unknown flag: --watch/],
  ['top models --interval 1ms', /at least 500ms/],
  ['purge s3://models', /a key is missing/],
  ['completion fish', /unknown shell 'fish': one of bash, zsh, kubectl/],
  ['inspect', /unknown command "inspect" for "kubectl orca"/],
  ['-n ml status', /the command comes first/],
])('%s: a clear message and exit code 1', async ([line, message]) => {
  const { exitCode, out, err } = await runCli(line as string, filledWorld());
  expect([exitCode, out]).toEqual([1, '']);
  expect(err).toMatch(/^error: /);
  expect(err).toMatch(message as RegExp);
});

test.for([
  [['s'], ['status']],
  [['status', ''], ['models']],
  [['status', '--cont'], ['--context']],
  [
    ['status', '-o', ''],
    ['json', 'yaml', 'wide'],
  ],
  [['ls', '--cache', 'm'], ['models']],
  [['completion', 'z'], ['zsh']],
  [['nonsense', ''], []],
])('completes %o', async ([words, expected]) => {
  const { out } = await runCli(['__complete', ...words!], healthyWorld());
  expect(out.split('\n').slice(0, -2)).toEqual(expected);
});
