import { describe, expect, test } from 'vitest';
import { LeaseLock, RENEW_DEADLINE_MS } from '#operator/control/lease-lock.ts';
import type { KubeClient, RequestOptions } from '#shared/kube/client.ts';
import { KubeError } from '#shared/kube/error.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const CONFLICT = new KubeError(409, 'Conflict', 'the object has been modified');

/** A lock whose requests are answered by `respond`, and the methods of its requests. */
function lockWith(respond: (method: string, options: RequestOptions) => unknown) {
  const clock = fakeClock();
  const methods: string[] = [];
  const client: KubeClient = {
    async request<T>(method: string, _path: string, options: RequestOptions = {}): Promise<T> {
      methods.push(method);
      return (await respond(method, options)) as T;
    },
    watch: () => {
      throw new Error('a lock watches nothing');
    },
  };
  const { signal } = new AbortController();
  const lock = new LeaseLock({ client, clock, namespace: 'orca-system', name: 'orca', identity: 'a', signal });
  return { lock, clock, methods };
}

describe('the lease lock', () => {
  test('counts a hold from when the renewal was sent, not from its response', async () => {
    const { lock, clock } = lockWith(async (method, { body }) => {
      if (method === 'GET') throw new KubeError(404, 'NotFound', 'none');
      await clock.advance(3_000);
      return body;
    });
    expect(await lock.hold()).toBe(true);
    expect(lock.leftMs).toBe(RENEW_DEADLINE_MS - 3_000);
  });

  test('reads the lease before it writes again, after a renewal failed with a conflict', async () => {
    let holder = 'a';
    const { lock, methods } = lockWith((method, { body }) => {
      if (method === 'GET') return { metadata: {}, spec: { holderIdentity: holder, leaseDurationSeconds: 15 } };
      if (holder !== 'a') throw CONFLICT;
      return body;
    });
    expect(await lock.hold()).toBe(true);
    holder = 'b';
    expect(await lock.hold()).toBe(false);
    expect(await lock.hold()).toBe(false);
    expect(methods).toEqual(['GET', 'PUT', 'PUT', 'GET', 'GET']);
  });

  test.each([
    [CONFLICT, 'another candidate has taken it'],
    [new KubeError(404, 'NotFound', 'none'), 'it was deleted'],
  ])('is released without an error: %s, %s', async (error) => {
    let fails = false;
    const { lock } = lockWith((_method, { body }) => {
      if (fails) throw error;
      return body ?? { metadata: {}, spec: {} };
    });
    await lock.hold();
    fails = true;
    await lock.release();
    expect(lock.leftMs).toBeLessThanOrEqual(0);
  });

  test('reports a release that failed', async () => {
    let fails = false;
    const { lock } = lockWith((_method, { body }) => {
      if (fails) throw new KubeError(500, 'InternalError', 'boom');
      return body ?? { metadata: {}, spec: {} };
    });
    await lock.hold();
    fails = true;
    await expect(lock.release()).rejects.toThrow('boom');
  });
});
