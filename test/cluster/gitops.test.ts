/**
 * A repository whose revisions are applied in order, as Flux and Argo CD do it: server-side, with pruning. One revision is
 * broken and one is rejected; the operator is upgraded in between; a client reads all the time.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { judge } from '#test/helm/judge.ts';
import { becomes, cache, eventually, openWorld, REACTION_MS, secret, START_MS, type World } from './operator-world.ts';

const PREVIOUS = 'test/fixtures/charts/orcacache-0.1.0.tgz';
/** The reader retries, as SDKs do, when a connection is being closed. */
const ATTEMPTS = 3;
const PAUSE_MS = 300;

type Spec = { readonly origin: { readonly [member: string]: unknown }; readonly [member: string]: unknown };

/** The cache resource of a revision. */
function models(change: (spec: Spec) => object = (spec) => spec): object {
  const made = cache('models', { secret: 'keys', replicas: 1 }) as { readonly spec: Spec };
  return { ...made, spec: change(made.spec) };
}
const NOTE = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'note' }, data: { text: 'for a while' } };

const chunksOf = (size: string) => (spec: Spec) => ({ ...spec, chunking: { size, tiers: [] } });

let world: World;
let reader: Reader;
beforeAll(async () => {
  vi.stubEnv('KUBECTL_APPLYSET', 'true');
  world = await openWorld({ chart: PREVIOUS });
  await world.apply(secret('keys'));
});
afterAll(async () => {
  await reader?.stop();
  await world[Symbol.asyncDispose]();
  vi.unstubAllEnvs();
});

/** Applies a revision as a GitOps tool does; a ConfigMap is the inventory of applied objects. */
async function sync(...objects: readonly object[]): Promise<void> {
  await world.kubectl(
    ['apply', '--server-side', '--field-manager=gitops', '--prune', '--applyset=configmaps/inventory', '-f', '-'],
    objects.map((object) => stringify(object)).join('---\n'),
  );
}

/** Waits with kubectl for the Ready condition of the current generation. */
async function waitReady(): Promise<void> {
  await world.kubectl(['wait', '--for=condition=Ready', `--timeout=${START_MS / 1000}s`, 'orca/models']);
}

const pods = (): Promise<string> =>
  world.field('pods -l app.kubernetes.io/instance=models', '{.items[*].metadata.name}');

describe('a repository', () => {
  test('creates a cache that serves', async () => {
    await sync(models(), NOTE);
    await waitReady();
    reader = readOn(world);
    await eventually(async () => expect(reader.reads()).toBeGreaterThan(0));
  });

  test('survives an upgrade of the operator, which does not touch the caches', async () => {
    const before = await pods();
    await world.upgrade();
    await becomes(() => world.condition('models', 'Ready'), 'True ReplicasReady');
    expect(await pods()).toBe(before);
  });

  test('rolls out a change, and prunes removed objects', async () => {
    const before = await pods();
    await sync(models(chunksOf('2Mi')));
    await waitReady();
    // The old pod first finishes its open responses.
    await eventually(async () => expect(await pods()).not.toContain(before));
    expect(await world.field('configmap note', '{.metadata.name}')).toBe('');
  });

  test('with a revision that the API server rejects changes nothing, and the error gives the reason', async () => {
    const before = await world.field('orca models', '{.metadata.generation}');
    const refused = sync(models((spec) => ({ ...spec, origin: { ...spec.origin, id: 'elsewhere' } })));
    await expect(refused).rejects.toThrow(/spec\.origin\.id.*is immutable/);
    expect(await world.field('orca models', '{.metadata.generation}')).toBe(before);
  });

  test('with a broken revision leaves the old pods serving, and the status gives the reason', async () => {
    const before = await pods();
    const buckets = [{ name: 'models' }, { name: 'nowhere' }];
    await sync(models((spec) => ({ ...chunksOf('2Mi')(spec), origin: { ...spec.origin, buckets } })));
    await eventually(async () => {
      const message = await world.field('orca models', '{.status.conditions[?(@.type=="Reconciling")].message}');
      expect(message).toContain('nowhere');
    }, START_MS);
    expect(await world.condition('models', 'Ready')).toBe('False Progressing');
    const live = JSON.parse(await world.kubectl(['get', 'orca', 'models', '-o', 'json'])) as object;
    expect((await judge(['kstatus'], [live])).map(({ status }) => status)).toEqual(['InProgress']);
    expect(await pods()).toContain(before);
    const reads = reader.reads();
    await eventually(async () => expect(reader.reads()).toBeGreaterThan(reads));
  });

  test('recovers when that revision is reverted', async () => {
    await sync(models(chunksOf('2Mi')));
    await waitReady();
    const live = JSON.parse(await world.kubectl(['get', 'orca', 'models', '-o', 'json'])) as object;
    expect((await judge(['kstatus'], [live])).map(({ status }) => status)).toEqual(['Current']);
  });

  test('causes no failed read in any of these steps', async () => {
    await reader.stop();
    expect(reader.reads()).toBeGreaterThan(10);
    expect(reader.failures()).toEqual([]);
  });

  test('deletes the cache that a revision no longer contains', async () => {
    await sync(NOTE);
    expect(await world.field('orca models', '{.metadata.name}')).toBe('');
    await eventually(async () => expect(await world.leftovers('models')).toEqual([]), REACTION_MS);
  });
});

interface Reader {
  /** Reads that returned the expected content. */
  reads(): number;
  failures(): readonly string[];
  stop(): Promise<void>;
}

function readOn(of: World): Reader {
  const failures: string[] = [];
  let reads = 0;
  let isStopped = false;
  const loop = async (): Promise<void> => {
    while (!isStopped) {
      const told = await attempt(of);
      if (told === 'hello\n') reads += 1;
      else failures.push(`${new Date().toISOString()} ${told}`);
      await pause();
    }
  };
  const ended = loop();
  return {
    reads: () => reads,
    failures: () => failures,
    async stop() {
      isStopped = true;
      await ended;
    },
  };
}

async function attempt(of: World): Promise<string> {
  let last = '';
  for (let number = 1; number <= ATTEMPTS; number += 1) {
    last = await of.read('models', 'hello.txt').catch((error: unknown) => String(error));
    if (last === 'hello\n') return last;
    await pause();
  }
  return last;
}

async function pause(): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, PAUSE_MS);
  });
}
