import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createDeadline, type Deadline } from '#cache/wire/http1/deadline.ts';

let expired: unknown[];
let deadline: Deadline;

beforeEach(() => {
  vi.useFakeTimers();
  expired = [];
  deadline = createDeadline((why, limitMs) => expired.push([why, limitMs]));
});
afterEach(() => {
  vi.useRealTimers();
});

/** The event loop's turn in which what has arrived is read: faked immediates come a millisecond later. */
function turn(): void {
  vi.advanceTimersByTime(1);
}

test('what arrived while the process was busy is read before it is called late', () => {
  deadline.head(1000, 300);
  vi.advanceTimersByTime(300);
  expect(expired).toEqual([]);
  deadline.life();
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

test('a head must come in time, whatever life there is', () => {
  deadline.head(1000, 300);
  for (let at = 0; at < 900; at += 100) {
    vi.advanceTimersByTime(100);
    deadline.life();
  }
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(100);
  turn();
  expect(expired).toEqual([['first_byte', 1000]]);
});

test('silence ends it earlier', () => {
  deadline.head(1000, 300);
  vi.advanceTimersByTime(299);
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(1);
  turn();
  expect(expired).toEqual([['silence', 300]]);
});

test('a body stalls so long after its last byte', () => {
  deadline.body(500);
  vi.advanceTimersByTime(400);
  deadline.life();
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

test('it expires once, and never after it was stopped', () => {
  deadline.body(500);
  vi.advanceTimersByTime(5000);
  expect(expired).toHaveLength(1);
  deadline.body(500);
  deadline.stop();
  vi.advanceTimersByTime(5000);
  expect(expired).toHaveLength(1);
  expect(vi.getTimerCount()).toBe(0);
});

test('time in which this process did not run says nothing of the other side', () => {
  const startMs = performance.now();
  const now = vi.spyOn(performance, 'now');
  deadline.head(1000, 300);
  // The event loop stands still: the timer for the silence is 900 ms late.
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
