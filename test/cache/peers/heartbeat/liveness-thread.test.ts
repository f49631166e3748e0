/** When a liveness thread is started again, with threads that fail, hang or cannot be started. */
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import {
  openLivenessThread,
  type LivenessThread,
  type LivenessWorker,
} from '#cache/peers/heartbeat/liveness-thread.ts';
import type { LivenessThreadMessage } from '#cache/peers/heartbeat/thread-body.ts';
import type { PeerKeys } from '#cache/core/peer/auth.ts';
import { openLog } from '#shared/log.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';

class FakeWorker extends EventEmitter implements LivenessWorker {
  readonly posted: LivenessThreadMessage[] = [];
  postMessage(message: LivenessThreadMessage): void {
    this.posted.push(message);
  }
  async terminate(): Promise<void> {
    this.emit('exit');
  }
}

interface World {
  readonly clock: FakeClock;
  readonly thread: LivenessThread;
  readonly started: readonly FakeWorker[];
  readonly lines: readonly { readonly message: string; readonly reason?: string; readonly restartAfterMs?: number }[];
  keys: PeerKeys | undefined;
  /** Whether a thread can be started. */
  fails: boolean;
  /** The latest thread listens. */
  listening(): void;
}

/** The check of the thread is measured in turns of this process, which take real time. */
beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

function open(): World {
  const clock = fakeClock();
  const started: FakeWorker[] = [];
  const lines: World['lines'][number][] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as World['lines'][number]);
  const world = { clock, started, lines, keys: undefined, fails: false } as unknown as World;
  const thread = openLivenessThread({
    self: () => '10.0.0.1:8444',
    keys: () => world.keys,
    clock,
    log: openLog({ name: 'liveness', level: 'warn', write }),
    startWorker() {
      if (world.fails) throw new Error('no more processes');
      started.push(new FakeWorker());
      return started.at(-1)!;
    },
  });
  onTestFinished(() => thread.close());
  const listening = (): void => void started.at(-1)!.emit('message', { event: 'listening' });
  return Object.assign(world, { thread, listening });
}

const pauses = ({ lines }: World): unknown[] => lines.map(({ restartAfterMs }) => restartAfterMs);

test('a thread that ends soon after it has listened is started again after ever longer pauses', async () => {
  const world = open();
  world.thread.listen('10.0.0.1', 8444);
  for (let failure = 0; failure < 8; failure += 1) {
    world.listening();
    expect(world.thread.state).toBe('listening');
    world.started.at(-1)!.emit('exit');
    expect(world.thread.state).toBe('waiting');
    await world.clock.advance(60_000);
  }
  expect(pauses(world)).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
});

test('a thread that has listened for a minute is started again after a second', async () => {
  const world = open();
  world.thread.listen('10.0.0.1', 8444);
  world.started.at(-1)!.emit('exit');
  await world.clock.advance(1000);
  world.listening();
  await world.clock.advance(60_000);
  world.started.at(-1)!.emit('exit');
  expect(pauses(world)).toEqual([1000, 1000]);
});

test('a thread that cannot be started is started later', async () => {
  const world = open();
  world.fails = true;
  world.thread.listen('10.0.0.1', 8444);
  expect(world.thread.state).toBe('waiting');
  expect(world.lines[0]).toMatchObject({ reason: 'Error: no more processes', restartAfterMs: 1000 });
  world.fails = false;
  await world.clock.advance(1000);
  world.listening();
  expect(world.thread.state).toBe('listening');
});

test.for(['starting', 'listening'] as const)(
  'a thread that hangs while it is %s is replaced after 10 s',
  async (state) => {
    const world = open();
    world.thread.listen('10.0.0.1', 8444);
    if (state === 'listening') world.listening();
    // The first check sees the state before the start.
    vi.advanceTimersByTime(9_000);
    expect(world.thread.state).toBe(state);
    vi.advanceTimersByTime(2_000);
    expect(world.thread.state).toBe('waiting');
    expect(world.lines[0]?.message).toBe('liveness thread: hangs, and is started again');
    await world.clock.advance(1000);
    expect(world.started).toHaveLength(2);
  },
);

test('new keys are sent to the thread within a second', () => {
  const world = open();
  world.thread.listen('10.0.0.1', 8444);
  world.listening();
  world.keys = { current: new Uint8Array(32).fill(2), previous: undefined };
  vi.advanceTimersByTime(1000);
  expect(world.started[0]!.posted).toEqual([{ keys: world.keys }]);
});

test('after its end, no thread is started again', async () => {
  const world = open();
  world.thread.listen('10.0.0.1', 8444);
  await world.thread.close();
  await world.clock.advance(600_000);
  expect(world.started).toHaveLength(1);
  expect(world.lines).toEqual([]);
});
