import { describe, expect, it } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { Obstacles } from '#cache/engine/capacity/obstacles.ts';
import { StoreCalls } from '#cache/engine/capacity/store-calls.ts';
import type { ChunkStore } from '#cache/engine/ports.ts';
import { guardStore } from '#cache/engine/upstream/guarded.ts';
import { capacityRoom, NEVER } from '#test/support/capacity-room.ts';

const down = new OrcaError('store_unavailable', 'down');

function over(overrides: (store: ChunkStore) => Partial<ChunkStore>) {
  const { store, clock, room, obstacles } = capacityRoom();
  const guarded = guardStore({ ...store, ...overrides(store) }, clock);
  return { store, clock, room, guarded, obstacles, calls: new StoreCalls(guarded, clock, obstacles, room.observer) };
}

async function all<T>(pages: AsyncGenerator<readonly T[]>): Promise<T[]> {
  const items: T[] = [];
  for await (const page of pages) items.push(...page);
  return items;
}

/** A cachestore whose reads of small objects end when a test resolves them. */
function pending() {
  const running: PromiseWithResolvers<undefined>[] = [];
  const getSmall = () => {
    const call = Promise.withResolvers<undefined>();
    running.push(call);
    return call.promise;
  };
  return { ...over(() => ({ getSmall })), running };
}

describe('calls of the cachestore', () => {
  it('run two at once at most, in order', async () => {
    const { calls, clock, running } = pending();
    const ended = Array.from({ length: 4 }, (_, at) => calls.getSmall(`_orca/${at}`, NEVER));
    await clock.advance(1);
    expect(running).toHaveLength(2);
    running[1]!.resolve(undefined);
    await clock.advance(1);
    expect(running).toHaveLength(3);
    for (const at of [0, 2]) running[at]!.resolve(undefined);
    await clock.advance(1);
    running[3]!.resolve(undefined);
    await Promise.all(ended);
  });

  it('that wait end with their signal, and leave the place to others', async () => {
    const { calls, clock, running } = pending();
    const first = [calls.getSmall('_orca/a', NEVER), calls.getSmall('_orca/b', NEVER)];
    const abort = new AbortController();
    const leaving = calls.getSmall('_orca/c', abort.signal);
    const last = calls.getSmall('_orca/d', NEVER);
    await clock.advance(1);
    abort.abort(new OrcaError('cancelled', 'over'));
    running[0]!.resolve(undefined);
    await expect(leaving).rejects.toMatchObject({ code: 'cancelled' });
    await clock.advance(1);
    expect(running).toHaveLength(3);
    for (const call of running) call.resolve(undefined);
    await Promise.all([...first, last]);
  });

  it('have a deadline', async () => {
    const { calls, clock } = over(() => ({
      list: (_prefix, _cursor, { signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    }));
    const list = all(calls.list('test/00', NEVER)).catch((error: unknown) => error);
    await clock.advance(60_000);
    expect(await list).toMatchObject({ code: 'store_unavailable' });
  });

  it('are not made while the breaker is open, not even as its probe', async () => {
    const { calls, guarded, store, clock } = over(() => ({}));
    for (let at = 0; at < 10; at++) guarded.breaker.failed(`key ${at}`);
    await clock.advance(40_000);
    await expect(calls.getSmall('_orca/a', NEVER)).rejects.toMatchObject({ code: 'store_unavailable' });
    expect([store.counts.smallReads, calls.isClosed]).toEqual([0, false]);
  });

  it('list all pages', async () => {
    let pages = 0;
    const { calls, clock } = over(() => ({
      list: async (_prefix, cursor) => ({
        entries: [{ name: `test/${pages++}`, sizeBytes: 1, modifiedMs: 1 }],
        cursor: cursor === '2' ? undefined : String(Number(cursor ?? 0) + 1),
      }),
    }));
    expect(await all(calls.list('test/', NEVER))).toHaveLength(3);
    expect(clock.pending()).toBe(0);
  });
});

describe('a permission that is denied', () => {
  it('is logged once, and over with the first success', async () => {
    const { room, store, counts, obstacles } = capacityRoom();
    const error = new OrcaError('store_unavailable', 'AccessDenied', { status: 403 });
    store.inject({ on: 'list', times: 2, error });
    for (let at = 0; at < 2; at++) await expect(all(room.calls.list('test/00', NEVER))).rejects.toBe(error);
    expect(obstacles.reason).toBe('the cachestore does not permit to list: AccessDenied');
    expect(counts.warnings).toHaveLength(1);
    await all(room.calls.list('test/00', NEVER));
    expect(obstacles.reason).toBeUndefined();
  });

  it('is noticed where some deletions of a batch are refused', async () => {
    const { room, store, obstacles } = capacityRoom();
    const error = new OrcaError('store_unavailable', 'AccessDenied', { status: 403 });
    store.inject({ on: 'remove', path: '_orca/a', error });
    await room.calls.remove(['_orca/a', '_orca/b'], NEVER);
    expect(obstacles.reason).toBe('the cachestore does not permit to delete: AccessDenied');
    await room.calls.remove(['_orca/a'], NEVER);
    expect(obstacles.reason).toBeUndefined();
  });

  it('is another thing than a failure', async () => {
    const { room, store, obstacles } = capacityRoom();
    store.inject({ on: 'list', error: down });
    await expect(all(room.calls.list('test/00', NEVER))).rejects.toBe(down);
    expect(obstacles.reason).toBeUndefined();
    expect(new Obstacles(room.observer).reason).toBeUndefined();
  });
});
