/** The node with the leading operator and a replica loses its network. */
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { execFile } from 'node:child_process';
import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { http } from '#test/support/http.ts';
import { edgeOf } from '#test/cluster/cache-clients.ts';
import {
  becomes,
  BUCKET,
  cache,
  eventually,
  openWorld,
  secret,
  START_MS,
  type World,
} from '#test/cluster/operator-world.ts';

const exec = promisify(execFile);
const NAME = 'models';
const READ_EVERY_MS = 100;
const CLIENTS = 4;
/** A node counts as lost after 16 s here, and its pods are evicted 15 s later; new pods then start. The lease lasts 15 s. */
const WHOLE_MS = 150_000;
const CONNECT_TIMEOUT_MS = 1_000;
/**
 * The Service sends every third new connection to the lost node until that node counts as lost. With the SDK's default of
 * three attempts, one read in 27 would fail.
 */
const ATTEMPTS = 10;
/** Ends a read that was in flight on the lost node. */
const SILENCE_TIMEOUT_MS = 3_000;

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

/** Resolves with the leader, on another node than the origin's: loss of the origin is another case. */
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

/**
 * A client of the Service that keeps its connections, as the SDK does by default. A new connection for each read would
 * soon exhaust the SDK's retry quota.
 */
function openClient(edge: string): { readonly read: () => Promise<number>; readonly close: () => void } {
  const client = new S3Client({
    endpoint: `http://${edge}`,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'client', secretAccessKey: 'client-secret' },
    maxAttempts: ATTEMPTS,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: SILENCE_TIMEOUT_MS,
      httpAgent: new Agent({ keepAlive: true }),
    },
  });
  return {
    /** Resolves with the number of attempts. */
    async read() {
      const { Body, $metadata } = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'hello.txt' }));
      expect(await Body?.transformToString()).toBe('hello\n');
      return $metadata.attempts ?? 1;
    },
    close: () => client.destroy(),
  };
}

test('no read fails at the remaining replicas; another operator takes over, and the cache is complete again on other nodes', async () => {
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
  const client = openClient(await edgeOf(world, NAME));
  let repeated = 0;
  let most = 1;
  const throughService = async () => {
    while (!stop.signal.aborted) {
      try {
        const attempts = await client.read();
        if (attempts > 1) repeated += 1;
        most = Math.max(most, attempts);
      } catch (error) {
        failed.push(`through the Service: ${String(error)}`);
      }
      throughReads += 1;
      await delay(READ_EVERY_MS);
    }
  };
  let throughReads = 0;
  const clients = Array.from({ length: CLIENTS }, throughService);
  const number = node.replace('node', '');
  await exec('hack/cluster', ['node', 'cut', number]);
  try {
    const cutAtMs = performance.now();
    await eventually(async () => expect(await world.leader()).not.toBe(leader), START_MS);
    const ledAtMs = performance.now();
    // Only the leader creates it again.
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
      `new leader after ${seconds(ledAtMs)} s, all replicas ready after ${seconds(performance.now())} s, ${reads} reads; ` +
        `${throughReads} through the Service, ${repeated} of them in more than one attempt, at most ${most}`,
    );
  } finally {
    await exec('hack/cluster', ['node', 'heal', number]);
    stop.abort();
    await Promise.all([...readers, ...clients]);
    client.close();
  }
  expect(failed).toEqual([]);
});
