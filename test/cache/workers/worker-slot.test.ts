import { describe, expect, test } from 'vitest';
import { CONFIG_EXIT_CODE } from '#cache/workers/messages.ts';
import { openWorkerSlot, type ForkedProcess } from '#cache/workers/worker-slot.ts';
import { silentLog } from '#shared/log.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { FakeWorker } from '#test/support/fake-worker.ts';

function open() {
  const clock = fakeClock();
  const processes: FakeWorker[] = [];
  const exits: number[] = [];
  const stop = new AbortController();
  const slot = openWorkerSlot({
    index: 1,
    fork() {
      const next = new FakeWorker(100 + processes.length);
      processes.push(next);
      return next as unknown as ForkedProcess;
    },
    clock,
    log: silentLog,
    onListening: () => {},
    onExit: (index) => exits.push(index),
  });
  const running = slot.run(stop.signal);
  return { clock, processes, exits, stop, slot, running, last: () => processes.at(-1)! };
}

test('a worker counts as running once it is ready', async () => {
  const { slot, last, stop, running } = open();
  expect(slot.state()).toBe('starting');
  last().say({ type: 'listening' });
  expect(slot.state()).toBe('starting');
  last().say({ type: 'ready' });
  expect(slot.state()).toBe('running');
  expect(slot.pid()).toBe(100);
  stop.abort();
  await running;
  expect(last().signals).toEqual(['SIGTERM']);
  expect(slot.state()).toBe('ended');
});

describe('a worker that ends', () => {
  test('is started again, after a pause that doubles up to 10 s', async () => {
    const { clock, processes, slot, last, exits, stop, running } = open();
    last().start();
    for (const pauseMs of [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]) {
      const before = processes.length;
      last().exit(null, 'SIGSEGV');
      await clock.advance(pauseMs - 1);
      expect(slot.state()).toBe('restarting');
      expect(processes).toHaveLength(before);
      await clock.advance(1);
      expect(processes).toHaveLength(before + 1);
      expect(slot.state()).toBe('restarting');
    }
    last().start();
    expect(slot.state()).toBe('running');
    expect(slot.restarts()).toBe(9);
    expect(exits).toHaveLength(9);
    stop.abort();
    await running;
  });

  test('after a minute is started again at once', async () => {
    const { clock, processes, last, stop, running } = open();
    last().start();
    last().exit(1);
    await clock.advance(100);
    last().exit(1);
    await clock.advance(200);
    last().start();
    await clock.advance(60_000);
    last().exit(1);
    await clock.advance(100);
    expect(processes).toHaveLength(4);
    stop.abort();
    await running;
  });

  test.for([
    ['before it was ready', [] as const, 1, 'worker 1 could not start: it exited with 1'],
    ['because of its configuration', ['start'] as const, CONFIG_EXIT_CODE, /could not start: it exited with 78/],
  ] as const)('%s ends the supervision', async ([, calls, code, message]) => {
    const { slot, last, running } = open();
    for (const call of calls) last()[call]();
    last().exit(code);
    await expect(running).rejects.toThrow(message);
    expect(slot.state()).toBe('ended');
  });

  test('while the supervisor stops is not started again', async () => {
    const { clock, processes, last, stop, running, slot } = open();
    last().start();
    last().obeys = [];
    stop.abort();
    expect(slot.state()).toBe('stopping');
    last().exit(0);
    await running;
    await clock.advance(20_000);
    expect(processes).toHaveLength(1);
  });

  test('and is waiting for its next start, ends with the supervisor at once', async () => {
    const { processes, last, stop, running, clock } = open();
    last().start();
    last().exit(1);
    await clock.advance(0);
    stop.abort();
    await running;
    expect(processes).toHaveLength(1);
    expect(clock.pending()).toBe(0);
  });
});

describe('a worker whose event loop does not turn', () => {
  test('is killed after a minute without a message, and started again', async () => {
    const { clock, processes, last, stop, running } = open();
    last().start();
    const first = last();
    first.answer = undefined;
    await clock.advance(54_999);
    expect(first.signals).toEqual([]);
    await clock.advance(5_101);
    expect(first.signals).toEqual(['SIGKILL']);
    expect(processes).toHaveLength(2);
    stop.abort();
    await running;
  });

  test('is not killed if it answers late', async () => {
    const { clock, processes, last, stop, running } = open();
    last().start();
    last().answer = undefined;
    for (let round = 0; round < 30; round++) {
      await clock.advance(8_000);
      const { id } = last().received.at(-1)!;
      last().say({ type: 'answer', id: id - 1, status: 200, headers: {}, body: '' });
    }
    expect(processes).toHaveLength(1);
    expect(last().signals).toEqual([]);
    stop.abort();
    await running;
  });

  test('and that SIGKILL does not end, is stuck', async () => {
    const { clock, last, slot, stop, running } = open();
    last().start();
    last().answer = undefined;
    last().obeys = [];
    await clock.advance(80_000);
    expect(slot.isStuck()).toBe(false);
    await clock.advance(10_000);
    expect(slot.isStuck()).toBe(true);
    expect(last().signals).toEqual(['SIGKILL']);
    stop.abort();
    last().exit(null, 'SIGKILL');
    await running;
  });
});

test('sends requests to the running process, and rejects them between two processes', async () => {
  const { slot, last, clock, stop, running } = open();
  last().start();
  last().answer = ({ path }) => ({ body: path });
  expect((await slot.ask({ method: 'GET', path: '/top', headers: {} }, 100)).body).toBe('/top');
  last().answer = undefined;
  const failure = slot.ask({ method: 'GET', path: '/top', headers: {} }, 1000).catch((error: unknown) => error);
  last().exit(1);
  expect(await failure).toMatchObject({ message: 'the worker has ended' });
  await clock.advance(0);
  await expect(slot.ask({ method: 'GET', path: '/top', headers: {} }, 1000)).rejects.toThrow('not running');
  stop.abort();
  await running;
});

test('a process that cannot be created ends the supervision', async () => {
  const clock = fakeClock();
  const slot = openWorkerSlot({
    index: 0,
    fork() {
      const failed = new FakeWorker(0);
      Object.defineProperty(failed, 'pid', { value: undefined });
      setImmediate(() => failed.emit('error', new Error('spawn EAGAIN')));
      return failed as unknown as ForkedProcess;
    },
    clock,
    log: silentLog,
    onListening: () => {},
    onExit: () => {},
  });
  await expect(slot.run(new AbortController().signal)).rejects.toThrow('could not start');
});
