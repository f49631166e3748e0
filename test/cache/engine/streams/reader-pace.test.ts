import { expect, test } from 'vitest';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';

test('notifies every listener of each stall, until it unsubscribes', () => {
  const pace = new ReaderPace();
  const calls: string[] = [];
  const unsubscribe = pace.onStall(() => calls.push('a'));
  pace.onStall(() => calls.push('b'));
  pace.stalled();
  unsubscribe();
  pace.stalled();
  expect(calls).toEqual(['a', 'b', 'b']);
});

test('a reader is slow from its first stall until it recovers', () => {
  const pace = new ReaderPace();
  expect(pace.isSlow).toBe(false);
  pace.stalled();
  expect(pace.isSlow).toBe(true);
  pace.recovered();
  expect(pace.isSlow).toBe(false);
});
