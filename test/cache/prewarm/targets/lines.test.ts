import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_LINE_BYTES, readKeyLines } from '#cache/prewarm/targets/lines.ts';
import { nasty, outcomeOf, RUNS } from '#test/support/fuzz.ts';

const keysOf = (text: string, isLast = true, maxLines = 1000): string[] =>
  readKeyLines(Buffer.from(text, 'utf8'), isLast, maxLines).lines.map(({ key }) => key);

describe('a list of keys', () => {
  it('has one key a line, or JSON lines', () => {
    expect(keysOf('a/b\n\n  \nc d\r\n{"key": "e\\nf"}\n{"key":"g","size":3}\nlast')).toEqual([
      'a/b',
      'c d',
      'e\nf',
      'g',
      'last',
    ]);
  });

  it('may have keys that look like JSON', () => {
    expect(keysOf('{a}\n{"name": "b"}\n{"key": 1}\n{"key": "c"')).toEqual([
      '{a}',
      '{"name": "b"}',
      '{"key": 1}',
      '{"key": "c"',
    ]);
  });

  it('leaves a line without an end to the next block, unless it is the last one', () => {
    const text = Buffer.from('a\nbb', 'utf8');
    expect(readKeyLines(text, false, 1000)).toEqual({ lines: [{ key: 'a', end: 2 }], end: 2 });
    expect(readKeyLines(text, true, 1000)).toEqual({
      lines: [
        { key: 'a', end: 2 },
        { key: 'bb', end: 4 },
      ],
      end: 4,
    });
  });

  it('refuses lines that are no keys', () => {
    expect(() => keysOf('x'.repeat(MAX_LINE_BYTES + 1))).toThrow('longer than 16384 bytes');
  });

  it('is read to the same keys in blocks and pages of any size', () => {
    fc.assert(
      fc.property(
        nasty('\n', '\r\n', '{"key":"a"}', ' ', 'é'),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 4 }),
        (text, block, page) => {
          const bytes = Buffer.from(text, 'utf8');
          const keys: string[] = [];
          let at = 0;
          for (let size = block; at < bytes.length;) {
            const to = Math.min(bytes.length, at + size);
            const { lines, end } = readKeyLines(bytes.subarray(at, to), to === bytes.length, page);
            keys.push(...lines.map(({ key }) => key));
            at += end;
            size = end === 0 ? size * 2 : block;
          }
          expect(keys).toEqual(keysOf(text));
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('never fails with another error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, isLast) => {
        outcomeOf(() => readKeyLines(bytes, isLast, 10), 'invalid_argument');
      }),
      { numRuns: RUNS },
    );
  });
});
