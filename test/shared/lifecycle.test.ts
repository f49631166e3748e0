import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import { openLifecycle, shutDown, type ShutdownStep } from '#shared/lifecycle.ts';
import { openLog } from '#shared/log.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

function open() {
  const lines: string[] = [];
  const exits: number[] = [];
  const events = new EventEmitter();
  const host = Object.assign(events, { exit: (code: number) => exits.push(code) });
  const log = openLog({ name: 'test', level: 'debug', write: (line) => lines.push(line) });
  return { lines, exits, events, lifecycle: openLifecycle(log, host), log };
}

describe('a process', () => {
  test.for(['SIGTERM', 'SIGINT'])('%s aborts the signal without an exit', (name) => {
    const { events, lifecycle, exits } = open();
    expect(lifecycle.stopping.aborted).toBe(false);
    events.emit(name, name);
    expect(lifecycle.stopping.aborted).toBe(true);
    expect(exits).toEqual([]);
  });

  test('a second SIGTERM has no effect, a second SIGINT exits at once', () => {
    const { events, exits } = open();
    events.emit('SIGTERM', 'SIGTERM');
    events.emit('SIGTERM', 'SIGTERM');
    expect(exits).toEqual([]);
    events.emit('SIGINT', 'SIGINT');
    expect(exits).toEqual([130]);
  });

  test.for(['uncaughtException', 'unhandledRejection'])(
    '%s is logged with its cause, and the process exits with 1',
    (event) => {
      const { events, exits, lines } = open();
      events.emit(event, new Error('a bug', { cause: new Error('deep') }));
      expect(exits).toEqual([1]);
      expect(JSON.parse(lines[0] ?? '')).toMatchObject({
        level: 'error',
        error: { message: 'a bug', cause: { message: 'deep' } },
      });
    },
  );

  test('close removes the handlers', () => {
    const { events, lifecycle } = open();
    lifecycle.close();
    expect(events.eventNames()).toEqual([]);
  });
});

describe('shutDown', () => {
  test('runs the steps in order, one after the other', async () => {
    const { log } = open();
    const seen: string[] = [];
    const step = (name: string): ShutdownStep => ({
      name,
      timeoutMs: 1000,
      async run() {
        seen.push(`${name} starts`);
        await Promise.resolve();
        seen.push(`${name} ends`);
      },
    });
    await shutDown([step('a'), step('b')], log, fakeClock());
    expect(seen).toEqual(['a starts', 'a ends', 'b starts', 'b ends']);
  });

  test('continues after a failing step and a hanging one, whose signal aborts at the timeout', async () => {
    const { log, lines } = open();
    const clock = fakeClock();
    const seen: string[] = [];
    const done = shutDown(
      [
        {
          name: 'broken',
          timeoutMs: 1000,
          run: () => {
            throw new Error('no');
          },
        },
        {
          name: 'endless',
          timeoutMs: 5000,
          run: (signal) =>
            new Promise(() => {
              signal.addEventListener('abort', () => seen.push('aborted'));
            }),
        },
        { name: 'last', timeoutMs: 1000, run: () => void seen.push('last') },
      ],
      log,
      clock,
    );
    await clock.advance(4999);
    expect(seen).toEqual([]);
    await clock.advance(1);
    await done;
    expect(seen).toEqual(['aborted', 'last']);
    expect(lines.join('')).toContain('"step":"endless","outcome":"timed out","durationMs":5000');
    expect(clock.pending()).toBe(0);
  });
});
