import { posix } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileGlobs, MAX_ALTERNATIVES } from '#cache/prewarm/globs.ts';
import { nasty, outcomeOf, RUNS } from '#test/support/fuzz.ts';

const matches = (pattern: string, name: string): boolean => compileGlobs([pattern], [])(name);

describe('globs', () => {
  it.for([
    ['**/*.safetensors', 'a.safetensors', true],
    ['**/*.safetensors', 'x/y/a.safetensors', true],
    ['*.json', 'config.json', true],
    ['*.json', 'x/config.json', false],
    ['*', '.hidden', false],
    ['.*', '.hidden', true],
    ['a/**', 'a', false],
    ['a/**', 'a/b/c', true],
    ['**', 'a/.b', false],
    ['part-[0-9]?.bin', 'part-07.bin', true],
    ['part-[!0-9].bin', 'part-7.bin', false],
    ['{a,b/{c,d}}/*', 'b/d/x', true],
    ['{a}', '{a}', true],
    ['[', '[', true],
    ['\\*', '*', true],
    ['ü?.bin', 'ü🐳.bin', true],
  ] as const)('%s and %s: %s', ([pattern, name, expected]) => {
    expect(matches(pattern, name)).toBe(expected);
  });

  it('include everything without a pattern, and exclude before they include', () => {
    expect(compileGlobs([], [])('any/name')).toBe(true);
    const isWanted = compileGlobs(['*.bin', '*.txt'], ['b.*']);
    expect(['a.bin', 'b.bin', 'c.txt', 'd.md'].filter(isWanted)).toEqual(['a.bin', 'c.txt']);
    expect(['a', 'b.x'].filter(compileGlobs([], ['b.*']))).toEqual(['a']);
  });

  it('match what Node.js matches', () => {
    const part = fc.constantFrom('a', 'b', '*', '?', '[ab]', '[!a]', '{a,b}', '{a*,b/c}', '-', 'c', '*.a');
    const segment = fc.oneof(
      { weight: 1, arbitrary: fc.constant('**') },
      { weight: 3, arbitrary: fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('')) },
    );
    const pattern = fc
      .array(segment, { minLength: 1, maxLength: 4 })
      .map((segments) => segments.join('/'))
      // Two stars within a segment mean the same as one here; Node.js treats them as `**` next to a brace.
      .filter((text) => !/[^/]\*\*|\*\*[^/]/.test(text))
      // Node.js expands more, and here they are refused: see below. Each brace doubles them.
      .filter((text) => 2 ** (text.split('{').length - 1) <= MAX_ALTERNATIVES);
    const word = fc.array(fc.constantFrom('a', 'b', 'c', '-', '.'), { minLength: 1, maxLength: 4 });
    const name = fc
      .array(
        word.map((letters) => letters.join('')).filter((text) => text !== '.' && text !== '..'),
        { minLength: 1, maxLength: 4 },
      )
      .map((segments) => segments.join('/'));
    fc.assert(
      fc.property(pattern, name, (glob, path) => {
        expect(matches(glob, path)).toBe(posix.matchesGlob(path, glob));
      }),
      { numRuns: RUNS },
    );
  });

  it('refuse more alternatives than a person writes', () => {
    expect(matches('{a,b}'.repeat(6), 'aaaaaa')).toBe(true);
    expect(2 ** 6).toBe(MAX_ALTERNATIVES);
    expect(() => matches('{a,b}'.repeat(7), 'a')).toThrow('more than 64 alternatives');
    expect(() => matches('{a,b}'.repeat(51), 'a')).toThrow('more than 64 alternatives');
  });

  it('take no time that grows exponentially', () => {
    const startMs = performance.now();
    expect(matches(`${'*a'.repeat(120)}b`, 'a'.repeat(1000))).toBe(false);
    expect(matches(`${'**/a/'.repeat(50)}b`, 'a/'.repeat(500))).toBe(false);
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });

  it('never fail with another error, whatever the pattern', () => {
    fc.assert(
      fc.property(
        nasty('*', '**', '/', '{', '}', ',', '[', ']', '!', '\\', '?', '.'),
        nasty('/', '.', 'a'),
        (glob, name) => {
          outcomeOf(() => matches(glob, name), 'invalid_argument');
        },
      ),
      { numRuns: RUNS },
    );
  });
});
