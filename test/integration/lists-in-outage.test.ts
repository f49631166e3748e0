/** Lists while the origin is down: what was listed before is answered, also after every pod has restarted. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { http } from '#test/support/http.ts';
import { BUCKET, startReplicas, type Replicas } from '#test/support/replicas.ts';

const KEYS = ['a', 'dir/one', 'dir/two'];
const WARM = ['list-type=2', 'list-type=2&prefix=dir/', 'delimiter=/'];

let cache: Replicas;

beforeAll(async () => {
  cache = await startReplicas({ replicas: 2, changes: { 'edge.listTTL': '0s' } });
  for (const key of KEYS) await cache.put(key, Buffer.from(key));
});
afterAll(() => cache[Symbol.asyncDispose]());

const list = (replica: number, query: string) => http(cache.all[replica]!.edge, `/${BUCKET}?${query}`);

test('warm lists are answered while the origin is down, also after all pods restart; cold ones are 503', async () => {
  const answers = new Map<string, string>();
  for (const query of WARM) {
    const { status, headers, body } = await list(0, query);
    expect([status, headers['x-cache'], headers['age']]).toEqual([200, undefined, expect.stringMatching(/^\d$/)]);
    answers.set(query, body.toString());
  }
  const written = () => cache.total('orca_list_writes_total', { outcome: 'written' });
  await expect.poll(written, { timeout: 10_000 }).toBe(WARM.length);
  cache.originProxy.inject({ action: { kind: 'answer', status: 503 } });

  const expectStale = async (replica: number): Promise<void> => {
    for (const [query, body] of answers) {
      const answer = await list(replica, query);
      expect([answer.status, answer.headers['x-cache']]).toEqual([200, 'STALE']);
      expect(Number(answer.headers['age'])).toBeGreaterThanOrEqual(0);
      expect(answer.body.toString()).toBe(body);
    }
  };
  await expectStale(0);
  // The other replica has never listed anything.
  await expectStale(1);
  expect((await list(0, 'list-type=2&prefix=cold')).status).toBe(503);

  await cache.restart();
  await expectStale(0);
  await expectStale(1);
  expect(await cache.total('orca_lists_total', { source: 'stale' })).toBe(2 * WARM.length);
  expect(await cache.total('orca_edge_requests_total', { cache: 'STALE' })).toBe(2 * WARM.length);
});
