import { expect, test } from 'vitest';
import { isWorthTaking } from '#cache/engine/memory/piece.ts';

const MIDDLE = { isFirst: false, isLast: false, endsSegment: false };

test('a reader waits for 64 KiB, unless it is at its first or last byte or at the end of a segment', () => {
  expect([0, 65_535, 65_536].map((lengthBytes) => isWorthTaking(lengthBytes, MIDDLE))).toEqual([false, false, true]);
  for (const at of ['isFirst', 'isLast', 'endsSegment'] as const) {
    expect(isWorthTaking(1, { ...MIDDLE, [at]: true })).toBe(true);
    expect(isWorthTaking(0, { ...MIDDLE, [at]: true })).toBe(false);
  }
});
