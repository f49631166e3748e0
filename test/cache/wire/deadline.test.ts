import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createDeadline, type Deadline } from '#cache/wire/deadline.ts';

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

test('a head must come in time, whatever life there is', () => {
  deadline.head(1000, 300);
  for (let at = 0; at < 900; at += 100) {
    vi.advanceTimersByTime(100);
    deadline.life();
  }
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(100);
  expect(expired).toEqual([['first_byte', 1000]]);
});

test('silence ends it earlier', () => {
  deadline.head(1000, 300);
  vi.advanceTimersByTime(299);
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(expired).toEqual([['silence', 300]]);
});

test('a body stalls so long after its last byte', () => {
  deadline.body(500);
  vi.advanceTimersByTime(400);
  deadline.life();
  vi.advanceTimersByTime(499);
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(1);
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
