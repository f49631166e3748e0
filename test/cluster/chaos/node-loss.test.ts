/** The node with the operator that works, and with a replica, loses its network. */
import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { http } from '#test/support/http.ts';
import { becomes, BUCKET, cache, eventually, openWorld, secret, START_MS, type World } from '../operator-world.ts';

const exec = promisify(execFile);
const NAME = 'models';
const READ_EVERY_MS = 100;
/** Called lost after 16 s here, evicted after 15 more, and then whole again: the pods' start, and a lease of 15 s meanwhile. */
const WHOLE_MS = 150_000;

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: { readonly podIP?: string };
}

let world: World;
beforeAll(async () => {
  world = await openWorld({ operators: 2 });
  await world.apply(secret('keys'), cache(NAME, { secret: 'keys' }));
  await becomes(() => world.condition(NAME, 'Ready'), 'True ReplicasReady', START_MS);
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

async function replicas(): Promise<Pod[]> {
  const list = await world.kubectl(['get', 'pods', '-l', `app.kubernetes.io/instance=${NAME}`, '-o', 'json']);
  return (JSON.parse(list) as { items: Pod[] }).items.filter(
    ({ metadata }) => metadata.deletionTimestamp === undefined,
  );
}

const nodeOf = (pod: string): Promise<string> => world.field(`pod ${pod}`, '{.spec.nodeName}');

/** The origin's own node must stay: its loss is another case. */
async function leaderElsewhere(): Promise<string> {
  const origin = await nodeOf('s3');
  await eventually(async () => {
    const leader = await world.leader();
    const node = leader === '' ? '' : await nodeOf(leader);
    if (node === origin) await world.kubectl(['delete', 'pod', leader, '--wait=true']);
    expect(node).not.toBe('');
    expect(node).not.toBe(origin);
  }, START_MS);
  return world.leader();
}

test('no read fails at the replicas that are left; another operator goes on, and the cache is whole again on other nodes', async () => {
  const leader = await leaderElsewhere();
  const node = await nodeOf(leader);
  const before = await replicas();
  expect(before.map(({ spec }) => spec.nodeName)).toContain(node);
  const left = before.filter(({ spec }) => spec.nodeName !== node).map(({ status }) => status.podIP ?? '');
  for (const ip of left) expect((await http(`http://${ip}:8443`, `/${BUCKET}/hello.txt`)).status).toBe(200);

  const stop = new AbortController();
  let reads = 0;
  const failed: string[] = [];
  const readers = left.map(async (ip) => {
    while (!stop.signal.aborted) {
      const { status } = await http(`http://${ip}:8443`, `/${BUCKET}/hello.txt`);
      reads += 1;
      if (status !== 200) failed.push(`${ip}: ${status}`);
      await delay(READ_EVERY_MS);
    }
  });
  const number = node.replace('node', '');
  await exec('hack/cluster', ['node', 'cut', number]);
  try {
    const cutAtMs = performance.now();
    await eventually(async () => expect(await world.leader()).not.toBe(leader), START_MS);
    const ledAtMs = performance.now();
    // Only who leads would bring it back.
    await world.kubectl(['delete', 'service', NAME]);
    await becomes(() => world.field(`service ${NAME}`, '{.spec.ports[0].port}'), '80');
    await eventually(async () => {
      const nodes = (await replicas()).map(({ spec }) => spec.nodeName);
      expect(nodes).toHaveLength(3);
      expect(nodes).not.toContain(node);
      expect(await world.condition(NAME, 'Ready')).toBe('True ReplicasReady');
    }, WHOLE_MS);
    const seconds = (ms: number): string => ((ms - cutAtMs) / 1000).toFixed(0);
    console.log(
      `another leads after ${seconds(ledAtMs)} s, whole after ${seconds(performance.now())} s, ${reads} reads`,
    );
  } finally {
    await exec('hack/cluster', ['node', 'heal', number]);
    stop.abort();
    await Promise.all(readers);
  }
  expect(failed).toEqual([]);
});
