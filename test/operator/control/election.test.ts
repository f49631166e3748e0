import { describe, expect, onTestFinished, test } from 'vitest';
import { runElection, type Term } from '#operator/control/election.ts';
import { LeaseLock } from '#operator/control/lease-lock.ts';
import type { Clock } from '#shared/clock.ts';
import type { KubeClient, RequestOptions } from '#shared/kube/client.ts';
import { KubeError } from '#shared/kube/error.ts';
import { silentLog } from '#shared/log.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';

interface LeaseBody {
  readonly kind?: string;
  readonly metadata: { readonly name: string; readonly resourceVersion?: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** A Lease object with the API server's optimistic locking. */
function leaseStore() {
  let live: LeaseBody | undefined;
  let version = 0;
  const save = (body: LeaseBody): LeaseBody => {
    version += 1;
    live = { ...body, metadata: { ...body.metadata, resourceVersion: String(version) } };
    return live;
  };
  return {
    holder: () => live?.spec['holderIdentity'],
    spec: () => live?.spec,
    delete() {
      live = undefined;
    },
    handle(method: string, body: LeaseBody | undefined): LeaseBody {
      if (body !== undefined && body.kind !== 'Lease') throw new KubeError(400, 'BadRequest', 'not a Lease');
      if (method === 'POST') {
        if (live !== undefined) throw new KubeError(409, 'AlreadyExists', 'exists');
        return save(body as LeaseBody);
      }
      if (live === undefined) throw new KubeError(404, 'NotFound', 'none');
      if (method === 'GET') return live;
      if (body?.metadata.resourceVersion !== live.metadata.resourceVersion)
        throw new KubeError(409, 'Conflict', 'changed');
      return save(body as LeaseBody);
    },
  };
}

/** The clock of a process that can be suspended as by SIGSTOP: its timers are held back while time passes. */
function pausable(clock: FakeClock): Clock & { pause(): void; wake(): void; setDate(aheadMs: number): void } {
  let paused = false;
  let due: (() => void)[] = [];
  let dateOffsetMs = 0;
  const after: Clock['after'] = (ms, callback) => {
    let cancelled = false;
    const cancel = clock.after(ms, () => {
      if (paused) due.push(() => cancelled || callback());
      else callback();
    });
    return () => {
      cancelled = true;
      cancel();
    };
  };
  return {
    now: () => clock.now(),
    date: () => clock.date() + dateOffsetMs,
    after,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason as Error);
          return;
        }
        const cancel = after(ms, resolve);
        signal?.addEventListener('abort', () => {
          cancel();
          reject(signal.reason as Error);
        });
      }),
    setDate(aheadMs) {
      dateOffsetMs = aheadMs;
    },
    pause() {
      paused = true;
    },
    wake() {
      paused = false;
      const waiting = due;
      due = [];
      for (const callback of waiting) callback();
    },
  };
}

function world() {
  const clock = fakeClock();
  const store = leaseStore();
  /** Names of the candidates whose work is running. */
  const working = new Set<string>();
  let maxWorking = 0;

  function candidate(name: string, lead?: (term: Term) => Promise<void>) {
    const own = pausable(clock);
    const stop = new AbortController();
    const network: { state: 'up' | 'refused' | 'hanging' | 'lost-answers' } = { state: 'up' };
    let term: Term | undefined;
    let terms = 0;
    const client: KubeClient = {
      async request<T>(method: string, _path: string, call: RequestOptions = {}): Promise<T> {
        call.signal?.throwIfAborted();
        const timeoutMs = call.timeoutMs ?? 10_000;
        const silence = async (): Promise<never> => {
          await own.sleep(timeoutMs, call.signal);
          throw new KubeError(0, 'Timeout', 'no answer');
        };
        if (network.state === 'refused') throw new KubeError(0, 'Unreachable', 'refused');
        if (network.state === 'hanging') return silence();
        const answer = store.handle(method, call.body as LeaseBody | undefined);
        return network.state === 'lost-answers' && method !== 'GET' ? silence() : (structuredClone(answer) as T);
      },
      watch: () => {
        throw new Error('nothing is watched here');
      },
    };
    const lease = new LeaseLock({
      client,
      clock: own,
      namespace: 'orca-system',
      name: 'orca',
      identity: name,
      signal: stop.signal,
    });
    const observed: boolean[] = [];
    const ended = runElection({
      lease,
      clock: own,
      log: silentLog,
      signal: stop.signal,
      random: () => 0.5,
      observe: (isLeader) => observed.push(isLeader),
      async lead(given) {
        term = given;
        terms += 1;
        if (lead !== undefined) return lead(given);
        working.add(name);
        maxWorking = Math.max(maxWorking, working.size);
        await new Promise((resolve) => {
          given.signal.addEventListener('abort', resolve, { once: true });
        });
        working.delete(name);
        return undefined;
      },
    });
    const failure = ended.then(
      () => undefined,
      (error: unknown) => error,
    );
    onTestFinished(() => stop.abort(new Error('the test is over')));
    return {
      clock: own,
      network,
      stop,
      ended,
      failure,
      observed,
      terms: () => terms,
      /** A write of the last term, just before it would be sent. */
      write: () => term?.assertHeld(),
      kill() {
        network.state = 'hanging';
        own.pause();
        working.delete(name);
      },
    };
  }
  return { clock, store, working, candidate, maxWorking: () => maxWorking };
}

describe('the lease', () => {
  test('is created by the first candidate, with the standard fields', async () => {
    const { clock, store, candidate, working } = world();
    candidate('a');
    await clock.advance(0);
    expect([...working]).toEqual(['a']);
    expect(store.spec()).toEqual({
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-01T00:00:00.000000Z',
      renewTime: '2026-01-01T00:00:00.000000Z',
      leaseTransitions: 0,
    });
  });

  test('stays with its holder while it is renewed', async () => {
    const { clock, store, candidate, working } = world();
    const first = candidate('a');
    const second = candidate('b');
    await clock.advance(600_000);
    expect([...working]).toEqual(['a']);
    expect(first.terms()).toBe(1);
    expect(second.observed).not.toContain(true);
    expect(store.spec()).toMatchObject({ leaseTransitions: 0, renewTime: '2026-01-01T00:10:00.000000Z' });
  });

  test('is taken by exactly one other candidate within 20 s of the death of its holder', async () => {
    const { clock, store, candidate, working } = world();
    const first = candidate('a');
    await clock.advance(0);
    candidate('b');
    candidate('c');
    await clock.advance(31_000);
    first.kill();
    await clock.advance(13_000);
    expect(working.size).toBe(0);
    await clock.advance(6000);
    expect(working.size).toBe(1);
    expect(store.spec()).toMatchObject({ leaseTransitions: 1 });
    await clock.advance(60_000);
    expect(working.size).toBe(1);
  });

  test('is taken by another candidate within 2 s of a clean stop, after the work has ended', async () => {
    const { clock, store, candidate, working, maxWorking } = world();
    const first = candidate('a');
    await clock.advance(0);
    candidate('b');
    await clock.advance(30_000);
    first.stop.abort(new Error('SIGTERM'));
    await clock.advance(0);
    await first.ended;
    expect(store.holder()).toBe('');
    await clock.advance(2000);
    expect([...working]).toEqual(['b']);
    expect(maxWorking()).toBe(1);
  });

  test('is not inherited by a restarted process: the new identity waits', async () => {
    const { clock, candidate } = world();
    const first = candidate('pod_1');
    await clock.advance(10_000);
    first.kill();
    const again = candidate('pod_2');
    await clock.advance(10_000);
    expect(again.terms()).toBe(0);
    await clock.advance(8000);
    expect(again.terms()).toBe(1);
  });

  test('is recreated by its holder when it is deleted', async () => {
    const { clock, store, candidate, working } = world();
    const first = candidate('a');
    await clock.advance(10_000);
    store.delete();
    await clock.advance(2000);
    expect(store.holder()).toBe('a');
    expect([...working]).toEqual(['a']);
    expect(first.terms()).toBe(1);
  });
});

describe('a holder', () => {
  test.for(['refused', 'hanging'] as const)(
    'that cannot reach the API server (%s) ends its work after 10 s, before another begins, and becomes a candidate again',
    async (state) => {
      const { clock, candidate, working, maxWorking } = world();
      const first = candidate('a');
      await clock.advance(0);
      candidate('b');
      await clock.advance(20_000);
      first.network.state = state;
      await clock.advance(7900);
      expect([...working]).toEqual(['a']);
      await clock.advance(2200);
      expect(working.size).toBe(0);
      expect(() => first.write()).toThrow('not renewed in time');
      await clock.advance(10_000);
      expect([...working]).toEqual(['b']);
      first.network.state = 'up';
      await clock.advance(60_000);
      expect([...working]).toEqual(['b']);
      expect(maxWorking()).toBe(1);
      expect(first.observed.at(-1)).toBe(false);
    },
  );

  test('keeps its term after one failed renewal', async () => {
    const { clock, candidate, working } = world();
    const first = candidate('a');
    await clock.advance(20_000);
    first.network.state = 'hanging';
    await clock.advance(4000);
    first.network.state = 'up';
    await clock.advance(60_000);
    expect([...working]).toEqual(['a']);
    expect(first.terms()).toBe(1);
  });

  test('counts renewals with lost responses as failed, and acquires its own record again', async () => {
    const { clock, store, candidate } = world();
    const first = candidate('a');
    await clock.advance(20_000);
    first.network.state = 'lost-answers';
    await clock.advance(12_000);
    expect(() => first.write()).toThrow('not renewed in time');
    first.network.state = 'up';
    await clock.advance(6000);
    expect(store.holder()).toBe('a');
    expect(first.terms()).toBe(2);
    expect(() => first.write()).not.toThrow();
  });

  test('writes nothing after it was suspended, even before its timers run', async () => {
    const { clock, candidate, working } = world();
    const first = candidate('a');
    await clock.advance(0);
    candidate('b');
    await clock.advance(20_000);
    first.clock.pause();
    await clock.advance(30_000);
    expect([...working].toSorted()).toEqual(['a', 'b']);
    // The first action after the suspension: no timer has run yet.
    expect(() => first.write()).toThrow('not renewed in time');
    first.clock.wake();
    await clock.advance(0);
    expect([...working]).toEqual(['b']);
    expect(() => first.write()).toThrow('not renewed in time');
    await clock.advance(60_000);
    expect([...working]).toEqual(['b']);
  });

  test('may write until 10 s after it sent the last successful renewal', async () => {
    const { clock, candidate } = world();
    const first = candidate('a');
    await clock.advance(20_000);
    first.clock.pause();
    await clock.advance(9999);
    expect(() => first.write()).not.toThrow();
    await clock.advance(1);
    expect(() => first.write()).toThrow('not renewed in time');
  });

  test('writes nothing after its machine was suspended and only the wall clock has advanced', async () => {
    const { clock, candidate } = world();
    const first = candidate('a');
    await clock.advance(20_000);
    first.clock.setDate(10_000);
    expect(() => first.write()).toThrow('not renewed in time');
  });

  test('does not hold the lease longer when its wall clock is set back', async () => {
    const { clock, candidate } = world();
    const first = candidate('a');
    await clock.advance(20_000);
    first.clock.setDate(-3_600_000);
    first.clock.pause();
    await clock.advance(10_000);
    expect(() => first.write()).toThrow('not renewed in time');
  });

  test('fails if its work has not ended after 5 s, so that the process exits', async () => {
    const { clock, store, candidate } = world();
    const first = candidate('a', () => new Promise(() => {}));
    await clock.advance(20_000);
    first.stop.abort(new Error('SIGTERM'));
    await clock.advance(4999);
    expect(store.holder()).toBe('a');
    await clock.advance(1);
    expect(await first.failure).toMatchObject({ message: expect.stringContaining('still running') as string });
    // Not released: the hanging work may still write.
    expect(store.holder()).toBe('a');
  });

  test('rejects when its work fails, and releases the lease', async () => {
    const { clock, store, candidate } = world();
    const first = candidate('a', () => Promise.reject(new Error('boom')));
    await clock.advance(0);
    expect(await first.failure).toMatchObject({ message: 'the work failed', cause: { message: 'boom' } });
    expect(store.holder()).toBe('');
  });
});

describe('a candidate', () => {
  test('waits while the API server is unreachable, and starts when it is back', async () => {
    const { clock, candidate, working } = world();
    const first = candidate('a');
    first.network.state = 'refused';
    await clock.advance(60_000);
    first.network.state = 'up';
    await clock.advance(2000);
    expect([...working]).toEqual(['a']);
  });

  test('ends with the signal and leaves no timer', async () => {
    const { clock, candidate } = world();
    const first = candidate('a');
    await clock.advance(5000);
    first.stop.abort(new Error('SIGTERM'));
    await clock.advance(0);
    await first.ended;
    expect(clock.pending()).toBe(0);
  });
});
