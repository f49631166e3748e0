import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import { readableLine } from '#shared/readable-line.ts';
import { nasty, RUNS } from '#test/support/fuzz.ts';

const TIME = '2026-01-02T03:04:05.678Z';
const line = (fields: object, hasColors = false): string =>
  readableLine(JSON.stringify({ level: 'info', time: TIME, pid: 7, name: 'orcacache', ...fields }), hasColors);

describe('a readable line', () => {
  test('has the time, the level, the message and the fields', () => {
    expect(line({ message: 'listening', ports: { edge: 9000 }, version: '0.1.0', note: 'two words' })).toMatch(
      /^\d\d:\d\d:05\.678 INFO {2}listening {2}ports=\{"edge":9000\} {2}version=0\.1\.0 {2}note="two words"$/,
    );
  });

  test('colors warnings and errors', () => {
    expect(line({ level: 'warn', message: 'm' }, true)).toContain('\u{1B}[33mWARN \u{1B}[0m');
    expect(line({ level: 'info', message: 'm' }, true)).toContain(' INFO  m');
    expect(line({ level: 'error', message: 'm' })).not.toContain('\u{1B}');
  });

  test('a line that is not JSON stays as it is', () => {
    expect(readableLine('GET /bucket/key 200', true)).toBe('GET /bucket/key 200');
    expect(readableLine('[1]', true)).toBe('[1]');
  });

  test('no text that a client chose moves the cursor or begins another line', () => {
    expect(line({ message: 'key \u{1B}[2J\nERROR forged\u2028', key: 'a\r\u{9B}b' })).not.toMatch(/[\p{Cc}\u2028]/u);
    fc.assert(
      fc.property(nasty('\u{1B}', '\n', '\r', '"', '\\'), (text) => {
        expect(line({ message: text, key: text })).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
      }),
      { numRuns: RUNS },
    );
  });
});
