import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Deadline } from '#cache/wire/http1/deadline.ts';

let expired: unknown[];
let deadline: Deadline;

beforeEach(() => {
  vi.useFakeTimers();
  expired = [];
  deadline = new Deadline((overdue, limitMs) => expired.push([overdue, limitMs]));
});
afterEach(() => {
  vi.useRealTimers();
});

/** One turn of the event loop, in which pending data is read: a faked setImmediate fires a millisecond later. */
function turn(): void {
  vi.advanceTimersByTime(1);
}

test('data that arrived while the process was busy is read before the deadline is checked', () => {
  deadline.head(1000, 300);
  vi.advanceTimersByTime(300);
  expect(expired).toEqual([]);
  deadline.progress();
  turn();
  vi.advanceTimersByTime(298);
  expect(expired).toEqual([]);
  deadline.body(500);
  vi.advanceTimersByTime(500);
  deadline.stop();
  turn();
  expect(expired).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});

test('a head must arrive in time, even with progress', () => {
  deadline.head(1000, 300);
  for (let at = 0; at < 900; at += 100) {
    vi.advanceTimersByTime(100);
    deadline.progress();
  }
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(100);
  turn();
  expect(expired).toEqual([['first_byte', 1000]]);
});

test('silence expires before the first-byte deadline', () => {
  deadline.head(1000, 300);
  vi.advanceTimersByTime(299);
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(1);
  turn();
  expect(expired).toEqual([['silence', 300]]);
});

test('a body stalls when its last byte is older than the limit', () => {
  deadline.body(500);
  vi.advanceTimersByTime(400);
  deadline.progress();
  vi.advanceTimersByTime(499);
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(1);
  turn();
  expect(expired).toEqual([['stall', 500]]);
});

test('paused time does not count', () => {
  deadline.body(500);
  vi.advanceTimersByTime(400);
  deadline.pause();
  vi.advanceTimersByTime(10_000);
  deadline.resume();
  vi.advanceTimersByTime(499);
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(1);
  turn();
  expect(expired).toEqual([['stall', 500]]);
});

test('a deadline expires once, and never after stop()', () => {
  deadline.body(500);
  vi.advanceTimersByTime(5000);
  expect(expired).toHaveLength(1);
  deadline.body(500);
  deadline.stop();
  vi.advanceTimersByTime(5000);
  expect(expired).toHaveLength(1);
  expect(vi.getTimerCount()).toBe(0);
});

test('time in which this process did not run does not count as silence', () => {
  const startMs = performance.now();
  const now = vi.spyOn(performance, 'now');
  deadline.head(1000, 300);
  // The event loop was blocked: the silence timer fires 900 ms late.
  now.mockImplementation(() => startMs + 1200);
  vi.advanceTimersByTime(300);
  turn();
  expect(expired).toEqual([]);
  now.mockImplementation(() => startMs + 1500);
  vi.advanceTimersByTime(300);
  turn();
  expect(expired).toEqual([['silence', 300]]);
  now.mockRestore();
});

test('a document must end in time, even with progress', () => {
  deadline.document(500, 1000);
  for (let at = 0; at < 900; at += 100) {
    vi.advanceTimersByTime(100);
    deadline.progress();
  }
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(100);
  turn();
  expect(expired).toEqual([['slow', 1000]]);
});

test('a timer of the phase before does not end the next one, and each phase needs no more than one', () => {
  deadline.head(1000, undefined);
  deadline.body(5000);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(4999);
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(1);
  turn();
  expect(expired).toEqual([['stall', 5000]]);
  deadline.body(5000);
  deadline.head(1000, undefined);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(1000);
  turn();
  expect(expired).toEqual([
    ['stall', 5000],
    ['first_byte', 1000],
  ]);
});
