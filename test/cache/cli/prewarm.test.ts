/** `prewarm`, `pin`, `unpin` and `pins`: what they create, how they wait, and their golden outputs. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { KubeError } from '#shared/kube/error.ts';
import type { Clock } from '#shared/clock.ts';
import { fakeCluster, healthyWorld, NOW_MS, runCli, type Json, type World } from '#test/support/cli-world.ts';

const GOLDEN = join(import.meta.dirname, '../../golden/cli');
const GIB = 1024 ** 3;
const TIB = 1024 ** 4;
const MINUTE_MS = 60_000;
const CLEAR_LINE = '\r\u001b[K';

const at = (ms: number): string => new Date(ms).toISOString();

interface PrewarmOptions {
  readonly spec?: Json;
  readonly labels?: Json;
  readonly status?: Json;
}

function prewarmNamed(name: string, { spec, labels, status }: PrewarmOptions = {}): Json {
  return {
    metadata: { name, namespace: 'ml', uid: `uid-${name}`, labels: labels ?? {} },
    spec: { cacheRef: { name: 'models' }, targets: [{ bucket: 'models', prefix: 'llama/' }], ...spec },
    status: status ?? { observedGeneration: -1 },
  };
}

/** After `share` of the run. */
function running(share: number, more: Json = {}): Json {
  const total = 1.9 * TIB;
  return {
    observedGeneration: 1,
    state: 'Running',
    runs: 1,
    activeRun: 1,
    startTime: at(NOW_MS),
    listed: true,
    objects: { total: 1893, done: Math.floor(1893 * share), failed: 0 },
    bytes: { total, done: Math.floor(total * share), fromOrigin: Math.floor(total * share), alreadyStored: 0 },
    rate: '498Mi/s',
    estimatedCompletionTime: at(NOW_MS + Math.round((1 - share) * 65 * MINUTE_MS)),
    conditions: [{ type: 'Reconciling', status: 'True', reason: 'Running', message: 'run 1 is in progress' }],
    ...more,
  };
}

function complete(more: Json = {}): Json {
  return {
    observedGeneration: 1,
    state: 'Complete',
    runs: 1,
    startTime: at(NOW_MS),
    completionTime: at(NOW_MS + 64 * MINUTE_MS),
    listed: true,
    objects: { total: 1893, done: 1893, failed: 0 },
    bytes: { total: 1.9 * TIB, done: 1.9 * TIB, fromOrigin: 1.8 * TIB, alreadyStored: 100 * GIB },
    conditions: [{ type: 'Complete', status: 'True', reason: 'Completed', message: '1893 objects stored' }],
    ...more,
  };
}

/** A clock that jumps at each sleep, and calls back. */
function jumpingClock(onSleep: () => void = () => {}): Clock {
  let nowMs = NOW_MS;
  return {
    now: () => nowMs,
    date: () => nowMs,
    after: () => () => {},
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      nowMs += ms;
      onSleep();
      signal?.throwIfAborted();
    },
  };
}

/** Each look at the newest prewarm shows the next status; the last one stays. */
function showing(world: World, statuses: readonly Json[]): void {
  let look = 0;
  world.onLook = () => {
    const status = statuses[Math.min(look++, statuses.length - 1)];
    world.prewarms = world.prewarms.map((each, index, all) => (index === all.length - 1 ? { ...each, status } : each));
  };
}

const STORY = [
  { observedGeneration: -1 },
  running(0, { objects: { total: 0, done: 0, failed: 0 }, listed: false }),
  running(0.1, { listed: false }),
  running(0.31),
  running(0.62),
  running(0.9999),
  complete({ pin: 'Pinned' }),
];

describe('golden output', () => {
  test.for([
    ['prewarm', 'prewarm s3://models/mistral/'],
    ['prewarm-json', 'prewarm s3://models/mistral/ -o json'],
    [
      'prewarm-dry-run',
      'prewarm s3://models/Llama_3/70B/ --include **/*.safetensors --include=*.json --exclude old/* --rate 500Mi/s --parallelism 8 --pin 7d --deadline 2h --keep forever --dry-run',
    ],
    ['pin-dry-run', 'pin s3://models --dry-run -o json'],
    ['prewarm-show', 'prewarm done'],
    ['prewarm-show-failed', 'prewarm failed'],
    ['prewarm-show-json', 'prewarm failed -o json'],
    ['pins', 'pins'],
    ['pins-wide', 'pins models -o wide'],
    ['pins-json', 'pins -o json'],
    ['unpin', 'unpin s3://models/llama/'],
  ])('%s', async ([name, line]) => {
    const { exitCode, out, err } = await runCli(line!, worldWithPins());
    expect(exitCode).toBe(0);
    await expect(`$ kubectl orca ${line}\n${out}${err === '' ? '' : `--- stderr\n${err}`}`).toMatchFileSnapshot(
      join(GOLDEN, `${name}.txt`),
    );
  });

  test('prewarm --wait, with lines', async () => {
    const world = healthyWorld();
    showing(world, STORY);
    const line = 'prewarm s3://models/llama/ --pin 7d --wait';
    const { exitCode, out, err } = await runCli(line, world, { clock: jumpingClock() });
    expect(exitCode).toBe(0);
    await expect(`$ kubectl orca ${line}\n${out}--- stderr\n${err}`).toMatchFileSnapshot(
      join(GOLDEN, 'prewarm-wait.txt'),
    );
  });

  test('prewarm --wait, on a terminal', async () => {
    const world = healthyWorld();
    showing(world, STORY);
    const line = 'prewarm s3://models/llama/ --wait';
    const { out, err } = await runCli(line, world, { clock: jumpingClock(), io: { showsProgress: true } });
    const screens = err.replaceAll(CLEAR_LINE, '\n').replace(/^\n/, '');
    await expect(`$ kubectl orca ${line}\n${out}--- stderr, a line for each redraw\n${screens}`).toMatchFileSnapshot(
      join(GOLDEN, 'prewarm-wait-terminal.txt'),
    );
  });
});

function storedPin(prewarm: string, more: Json): Json {
  return { name: `${prewarm}-0a1b2c3d-1`, prewarm, uid: `uid-${prewarm}`, expiresMs: null, ...more };
}

function worldWithPins(): World {
  const world = healthyWorld();
  const pinned = { 'orcacache.dev/created-by': 'kubectl-orca-pin' };
  world.prewarms = [
    prewarmNamed('done', { status: complete(), spec: { pin: {} } }),
    prewarmNamed('failed', {
      status: complete({
        state: 'Failed',
        objects: { total: 1893, done: 1880, failed: 13 },
        failures: [
          { key: 'llama/old\u001b[31m.bin', reason: 'object_archived' },
          { key: 'llama/secret', reason: 'access_denied' },
        ],
        conditions: [{ type: 'Failed', status: 'True', reason: 'ObjectsFailed', message: '13 of 1893 objects failed' }],
      }),
    }),
    prewarmNamed('llama-x7k2p', {
      labels: pinned,
      status: complete({ pin: 'Pinned' }),
      spec: { pin: { ttl: '168h' } },
    }),
    prewarmNamed('nightly', {
      spec: {
        pin: { ttl: '48h' },
        schedule: '0 2 * * *',
        targets: [
          { bucket: 'data-a', manifest: { bucket: 'data-a', key: 'lists/1.txt' } },
          { bucket: 'data-b', keysFrom: { configMapRef: { name: 'keys', key: 'list' } } },
        ],
      },
      status: complete({ state: 'Scheduled', pin: 'Refused', nextRunTime: at(NOW_MS + 600 * MINUTE_MS) }),
    }),
  ];
  world.pins = [
    storedPin('llama-x7k2p', { expiresMs: NOW_MS + 5 * 24 * 60 * MINUTE_MS, sizeBytes: 1.9 * TIB, versions: 1893 }),
    storedPin('done', { sizeBytes: 3 * GIB, versions: 12 }),
    // Of another cache that shares the cachestore.
    { name: 'others-0a1b2c3d-1', expiresMs: NOW_MS - 1, sizeBytes: 1, versions: 1 },
  ];
  return world;
}

describe('what is created', () => {
  const created = async (line: string): Promise<Json> => {
    const world = healthyWorld();
    const { exitCode, err } = await runCli(line, world);
    expect([line, exitCode, exitCode === 0 ? '' : err]).toEqual([line, 0, '']);
    return world.prewarms[0]!;
  };

  test('a prewarm of the only cache that serves the bucket, removed a day after it has ended', async () => {
    expect(await created('prewarm s3://models/llama-3/')).toMatchObject({
      apiVersion: 'orcacache.dev/v1alpha1',
      kind: 'OrcaPrewarm',
      metadata: { name: 'llama-3-x7k2p', namespace: 'ml', labels: { 'orcacache.dev/created-by': 'kubectl-orca' } },
      spec: {
        cacheRef: { name: 'models' },
        targets: [{ bucket: 'models', prefix: 'llama-3/' }],
        ttlSecondsAfterFinished: 86_400,
      },
    });
  });

  test('a pin lasts until it is unpinned, or as long as --ttl', async () => {
    const forever = await created('pin s3://models/a/');
    expect(forever).toMatchObject({ metadata: { labels: { 'orcacache.dev/created-by': 'kubectl-orca-pin' } } });
    expect((forever['spec'] as Json)['pin']).toEqual({});
    expect(await created('pin s3://models/a/ --ttl 1d12h')).toMatchObject({ spec: { pin: { ttl: '36h' } } });
  });

  test.for([
    ['s3://models', 'models-'],
    ['s3://models/', 'models-'],
    ['s3://models/UPPER_case//', 'upper-case-'],
    ['s3://models/ü/日本/', 'models-'],
    [`s3://models/${'x'.repeat(200)}`, `${'x'.repeat(57)}-`],
    [`s3://models/${'x'.repeat(56)}-y`, `${'x'.repeat(56)}-`],
  ])('the name of %s', async ([url, stem]) => {
    const { metadata } = (await created(`prewarm ${url}`)) as { metadata: { name: string } };
    expect(metadata.name).toBe(`${stem}x7k2p`);
    expect(metadata.name.length).toBeLessThanOrEqual(63);
    expect(metadata.name).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
  });

  test('a dry run creates nothing, and its YAML is the resource', async () => {
    const world = healthyWorld();
    const { out } = await runCli('prewarm s3://models/llama/ --dry-run', world);
    expect(world.prewarms).toEqual([]);
    expect(parse(out)).toMatchObject({ kind: 'OrcaPrewarm', metadata: { name: 'llama', namespace: 'ml' } });
  });
});

describe('waiting', () => {
  const wait = async (statuses: readonly Json[], options: { readonly line?: string; readonly clock?: Clock } = {}) => {
    const world = healthyWorld();
    world.prewarms = [prewarmNamed('p')];
    showing(world, statuses);
    return runCli(options.line ?? 'prewarm --wait p', world, { clock: options.clock ?? jumpingClock() });
  };

  test('a failed run is an error, with the keys that failed', async () => {
    const failed = complete({
      state: 'Failed',
      objects: { total: 3, done: 2, failed: 1 },
      failures: [{ key: 'a', reason: 'not_found' }],
      conditions: [{ type: 'Failed', status: 'True', reason: 'ObjectsFailed', message: '1 of 3 objects failed' }],
    });
    const { exitCode, out } = await wait([running(0.5), failed]);
    expect(exitCode).toBe(1);
    expect(out).toMatch(/\/p failed: 2 of 3 objects/);
    expect(out).toMatch(/^not_found +a$/m);
  });

  test('a stalled one is an error, with the reason', async () => {
    const message = 'spec.cacheRef.name: OrcaCache ml/models not found';
    const stalled = {
      observedGeneration: 1,
      state: 'Stalled',
      conditions: [{ type: 'Stalled', status: 'True', reason: 'CacheNotFound', message }],
    };
    expect(await wait([stalled])).toMatchObject({ exitCode: 1, out: expect.stringContaining(message) });
  });

  test('one that is scheduled has ended when it waits for its next run', async () => {
    const first = { observedGeneration: 1, state: 'Scheduled', runs: 0 };
    const next = complete({ state: 'Scheduled', nextRunTime: at(NOW_MS) });
    const { exitCode, out } = await wait([first, running(0.5), next]);
    expect([exitCode, out]).toEqual([0, expect.stringContaining('; next run at 2026-11-28T12:00:00Z')]);
  });

  test('why it makes no progress is shown once', async () => {
    const message = 'the origin does not answer';
    const blocked = running(0.5, { conditions: [{ type: 'Reconciling', status: 'True', message }] });
    const { err } = await wait([...Array.from({ length: 20 }, () => blocked), complete()]);
    expect(err.split(message)).toHaveLength(2);
    expect(err).not.toContain('in progress');
  });

  test('an operator that does not look is named', async () => {
    const unseen = { observedGeneration: -1 };
    const { err } = await wait([...Array.from({ length: 20 }, () => unseen), complete()]);
    expect(err.split('the operator has not looked at it yet')).toHaveLength(2);
  });

  test('the time limit ends the command with an error, while the prewarm continues', async () => {
    const { exitCode, err } = await wait([running(0.5)], { line: 'prewarm --wait p --timeout 1m' });
    expect([exitCode, err]).toEqual([1, expect.stringContaining('Not complete within 1m: p continues in the cluster')]);
  });

  test('Ctrl-C leaves it running, and shows how to follow it', async () => {
    const interrupted = new AbortController();
    const world = healthyWorld();
    world.prewarms = [prewarmNamed('p')];
    showing(world, [running(0.5)]);
    const clock = jumpingClock(() => interrupted.abort(new Error('interrupted')));
    const options = { clock, signal: interrupted.signal, io: { showsProgress: true } };
    const { exitCode, err } = await runCli('prewarm --wait p', world, options);
    expect(exitCode).toBe(130);
    expect(err).toContain('kubectl orca prewarm --wait p -n ml\n');
    expect(err).toContain('kubectl wait --for=condition=Complete --timeout=24h orcaprewarm/p -n ml\n');
    expect(world.prewarms).toHaveLength(1);
  });

  test('an API server that is restarted does not end the wait', async () => {
    const world = healthyWorld();
    world.prewarms = [prewarmNamed('p', { status: running(0.5) })];
    let looks = 0;
    world.onLook = () => {
      looks += 1;
      if (looks === 3) throw new KubeError(0, 'Unreachable', 'GET /p: connect ECONNREFUSED');
      if (looks === 4) throw new KubeError(503, '', 'GET /p: 503 starting');
      if (looks === 5) world.prewarms = [prewarmNamed('p', { status: complete() })];
    };
    const { exitCode, err } = await runCli('prewarm --wait p', world, { clock: jumpingClock() });
    expect([exitCode, looks]).toEqual([0, 5]);
    expect(err).toContain('the API server does not answer: GET /p: connect ECONNREFUSED');
  });

  test.for([
    ['is refused', new KubeError(403, 'Forbidden', 'GET /p: 403 forbidden'), /^error: GET \/p: 403 forbidden/m],
    ['stays away', new KubeError(503, '', 'GET /p: 503 away'), /^error: GET \/p: 503 away/m],
  ] as const)('an API server that %s ends it', async ([, error, message]) => {
    const world = healthyWorld();
    world.prewarms = [prewarmNamed('p', { status: running(0.5) })];
    let looks = 0;
    world.onLook = () => {
      if (++looks > 2) throw error;
    };
    const { exitCode, err } = await runCli('prewarm --wait p', world, { clock: jumpingClock() });
    expect([exitCode, err]).toEqual([1, expect.stringMatching(message)]);
  });

  test('one that is deleted, or replaced, ends the wait', async () => {
    for (const [left, message] of [
      [[], 'p was deleted'],
      [[{ ...prewarmNamed('p'), metadata: { name: 'p', uid: 'another' } }], 'another one with this name was created'],
    ] as const) {
      const world = healthyWorld();
      world.prewarms = [prewarmNamed('p', { status: running(0.5) })];
      let looks = 0;
      world.onLook = () => {
        if (++looks > 2) world.prewarms = [...left];
      };
      const { exitCode, err } = await runCli('prewarm --wait p', world, { clock: jumpingClock() });
      expect([exitCode, err]).toEqual([1, expect.stringContaining(message)]);
    }
  });

  describe('the bar', () => {
    const report = (done: number): Json => ({
      uid: 'uid-p',
      name: 'p',
      run: 1,
      state: 'running',
      listed: true,
      objects: { total: 10, done, failed: 0 },
      bytes: { total: 1000 * GIB, done: done * 100 * GIB, fromOrigin: 0, alreadyStored: 0 },
      bytesPerSecond: GIB,
    });
    const status = running(0.5, {
      objects: { total: 10, done: 5, failed: 0 },
      bytes: { total: 1000 * GIB, done: 500 * GIB },
    });
    /** The numbers of objects that are shown, one for each look at a cluster whose second pod walks. */
    const shown = async (looks: readonly (Json | KubeError)[]): Promise<number[]> => {
      const world = healthyWorld();
      world.prewarms = [prewarmNamed('p')];
      const pods = world.pods;
      let look = -1;
      world.onLook = () => {
        // The first one is before the wait.
        const now = looks[Math.max(0, look++)];
        world.prewarms = [prewarmNamed('p', { status: now === undefined ? complete() : status })];
        world.pods = pods.map((pod, index) =>
          now instanceof KubeError
            ? { ...pod, failure: now }
            : { ...pod, prewarms: { prewarms: index === 1 && now !== undefined ? [now] : [] } },
        );
      };
      const { err } = await runCli('prewarm --wait p', world, { clock: jumpingClock(), io: { showsProgress: true } });
      return [...err.matchAll(/(\d+)\/10 objects/g)].map(([, done]) => Number(done));
    };

    test('shows what the walking replica reports, which is newer than the status', async () => {
      expect(await shown([report(6), report(7), report(8)])).toEqual([6, 7, 8]);
    });

    test('does not go back while a replica that has just taken over is behind', async () => {
      expect(await shown([report(6), report(4), report(7)])).toEqual([6, 6, 7]);
      const listing = { ...report(6), listed: false, objects: { total: 6, done: 6, failed: 0 } };
      expect(await shown([listing, report(7)])).toEqual([6, 7]);
    });

    test('shows the status without the right to query pods', async () => {
      const forbidden = new KubeError(403, 'Forbidden', 'GET /p: 403 forbidden');
      expect(await shown([forbidden, report(7), report(8)])).toEqual([5, 5, 5]);
    });
  });

  test('a bar never wraps', async () => {
    for (const columns of [10, 40, 60, 80, 100, 200]) {
      const world = healthyWorld();
      world.prewarms = [prewarmNamed('a-long-name-of-a-prewarm')];
      showing(world, STORY);
      const io = { showsProgress: true, size: () => ({ columns, rows: 40 }) };
      const { err } = await runCli('prewarm --wait a-long-name-of-a-prewarm', world, { clock: jumpingClock(), io });
      for (const line of err.replaceAll(CLEAR_LINE, '\n').split('\n')) expect(line.length).toBeLessThan(columns);
    }
  });
});

describe('unpin', () => {
  test('by name and by prefix: only what pin has created, and the right one', async () => {
    for (const line of ['unpin llama-x7k2p', 'unpin s3://models/llama/']) {
      const world = worldWithPins();
      const before = world.prewarms.length;
      const { exitCode, out, err } = await runCli(line, world);
      expect([exitCode, out]).toEqual([0, 'orcaprewarm.orcacache.dev/llama-x7k2p deleted\n']);
      expect(world.prewarms).toHaveLength(before - 1);
      expect(err.includes('still pinned by orcaprewarm.orcacache.dev/done')).toBe(line.includes('s3://'));
    }
  });

  test.for([
    ['unpin nightly', /pinned by orcaprewarm\.orcacache\.dev\/nightly, .*kubectl delete orcaprewarm nightly -n ml/],
    ['unpin failed', /does not pin anything: it has no spec\.pin/],
    ['unpin other', /there is no orcaprewarm 'other'/],
    ['unpin s3://models/lla', /nothing pins s3:\/\/models\/lla in namespace ml/],
    ['unpin s3://data-a/', /nothing pins s3:\/\/data-a\//],
    ['unpin', /what to unpin is missing/],
  ])('%s is refused', async ([line, message]) => {
    const world = worldWithPins();
    const { exitCode, err } = await runCli(line as string, world);
    expect([exitCode, err]).toEqual([1, expect.stringMatching(message as RegExp)]);
    expect(world.prewarms).toHaveLength(4);
  });
});

test('a name that is taken: how to follow that one, or to take another', async () => {
  const { exitCode, err } = await runCli('prewarm s3://models/llama/ --name done', worldWithPins());
  expect([exitCode, err]).toEqual([
    1,
    "error: orcaprewarm.orcacache.dev/done exists already: choose another --name, or follow that one with 'kubectl orca prewarm --wait done -n ml'\n",
  ]);
});

test('pods of an older release have no pins', async () => {
  const world = healthyWorld();
  const cluster = fakeCluster(world);
  const old = { ...cluster, get: async () => Promise.reject(new KubeError(404, '', 'GET /pins: 404 404 Not Found')) };
  const { err } = await runCli('pins', world, { connect: async () => old });
  expect(err).toBe('error: pod models-a runs a release without pins: update the cache\n');
});

test.for([
  ['prewarm', /'' is not a name such as s3:\/\/BUCKET\/KEY/],
  ['prewarm s3://others/', /no cache serves bucket others/],
  ['prewarm s3://models/ --rate fast', /--rate 'fast' is not a size of at least 1Mi/],
  ['prewarm s3://models/ --rate 1000', /--rate '1000' is not a size of at least 1Mi/],
  ['prewarm s3://models/ --parallelism 0', /--parallelism '0' is not a number from 1 to 1024/],
  ['prewarm s3://models/ --pin soon', /a pin 'soon' is not a duration such as 30m, 12h or 7d, or 'forever'/],
  ['prewarm s3://models/ --keep 0', /--keep '0' is not a duration/],
  ['prewarm s3://models/ --wait --timeout never', /--timeout 'never' is not a duration/],
  ['prewarm p --rate 5Mi', /--rate is for a new prewarm/],
  ['prewarm p', /there is no orcaprewarm 'p'/],
  ['pin llama', /'llama' is not a name/],
  ['pin s3://models/ --ttl x', /--ttl 'x' is not a duration/],
])('%s: a clear message, and nothing is created', async ([line, message]) => {
  const world = healthyWorld();
  const { exitCode, out, err } = await runCli(line as string, world);
  expect([exitCode, out, world.prewarms]).toEqual([1, '', []]);
  expect(err).toMatch(/^error: /);
  expect(err).toMatch(message as RegExp);
});
