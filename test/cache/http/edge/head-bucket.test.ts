/** HEAD of a bucket, and the other requests that name only a bucket: they report whether it exists at the origin. */
import { afterEach, describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { openEngines, whileTimePasses } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { http } from '#test/support/http.ts';
import { openTestEdge, type TestEdge } from '#test/support/test-edge.ts';

const RULE = { prefix: '', metadataTtlMs: 300_000, immutable: false };
const BUCKETS = [
  { ...RULE, name: 'models', originBucket: 'far-models' },
  { ...RULE, name: 'team-*', originBucket: 'team-*' },
];
const edges: TestEdge[] = [];
afterEach(async () => {
  for (const edge of edges.splice(0)) await edge[Symbol.asyncDispose]();
});

async function open() {
  const clock = fakeClock();
  const engines = openEngines({ clock, buckets: BUCKETS });
  const edge = await openTestEdge(engines.replicas[0]!.engine, { buckets: BUCKETS });
  edges.push(edge);
  const head = async (bucket = 'models') =>
    (await whileTimePasses(clock, http(edge.url, `/${bucket}`, { method: 'HEAD' }))).status;
  const get = async (path: string) => {
    const { status, body } = await whileTimePasses(clock, http(edge.url, path));
    return `${status} ${/<Code>(\w+)/.exec(String(body))?.[1] ?? ''}`.trim();
  };
  return { clock, ...engines, head, get };
}

test('a bucket that does not exist at the origin is 404, which is cached like an absence', async () => {
  const { clock, origin, head, get } = await open();
  expect([await head(), await head()]).toEqual([404, 404]);
  for (const path of ['/models?location', '/models?max-keys=0', '/models?list-type=2', '/models/key'])
    expect(await get(path)).toBe('404 NoSuchBucket');
  expect(origin.counts.probes).toBe(1);
  origin.createBucket('far-models');
  expect(await head()).toBe(404);
  await clock.advance(60_000);
  expect([await head(), await head()]).toEqual([200, 200]);
  expect(origin.counts.probes).toBe(2);
});

test('under a pattern each bucket is looked up', async () => {
  const { origin, head } = await open();
  origin.createBucket('team-red');
  expect([await head('team-red'), await head('team-blue'), await head('others')]).toEqual([200, 404, 404]);
});

test('a bucket whose origin refuses lists to the cache is 200: its objects may be readable', async () => {
  const { origin, head } = await open();
  origin.createBucket('far-models');
  origin.inject({ on: 'probe', what: new OrcaError('access_denied', 'no ListBucket') });
  expect([await head(), await head()]).toEqual([200, 200]);
});

test('a bucket whose origin rejects the cache’s credentials is 403', async () => {
  const { origin, head } = await open();
  origin.createBucket('far-models');
  origin.inject({ on: 'probe', what: new OrcaError('origin_denied', 'key revoked') });
  expect([await head(), await head()]).toEqual([403, 200]);
});

describe('while the origin is down', () => {
  const down = { on: 'probe', what: new OrcaError('origin_unavailable', 'down'), times: 100 } as const;

  test('a bucket of the allow-list is 200, and not every request queries the origin', async () => {
    const { origin, head } = await open();
    origin.inject(down);
    expect(await head()).toBe(200);
    const { probes } = origin.counts;
    expect(await head()).toBe(200);
    expect(origin.counts.probes).toBe(probes);
  });

  test('a bucket that was missing stays 404', async () => {
    const { clock, origin, head } = await open();
    expect(await head()).toBe(404);
    await clock.advance(60_000);
    origin.inject(down);
    expect(await head()).toBe(404);
  });
});
