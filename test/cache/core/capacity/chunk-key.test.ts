import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  keyHigh,
  keyLow,
  minuteOf,
  parseChunkName,
  readKey,
  shardName,
  shardOf,
  shardPrefix,
  SHARDS,
} from '#cache/core/capacity/chunk-key.ts';
import { chunkAt } from '#cache/core/chunk.ts';
import { chunkPathOf, versionOf } from '#test/support/capacity.ts';
import { damaged, nasty, RUNS } from '#test/support/fuzz.ts';

const VERSION = `a70123abcdfedc4321${'5'.repeat(46)}`;
const index = fc.nat(999_999_999_999_999);

describe('shard and key of a chunk', () => {
  it('golden vector: ledgers of an earlier release stay valid', () => {
    const path = `lake/${VERSION}/3`;
    expect({ shard: shardOf(path), high: keyHigh(path), low: keyLow(path) }).toEqual({
      shard: 0xa7,
      high: 0x0123abcd,
      low: (0xfedc4321 ^ Math.imul(3, 0x9e3779b1)) >>> 0,
    });
    expect(keyLow(`lake/${VERSION}/0`)).toBe(0xfedc4321);
  });

  it('a path of the chunk module has them', () => {
    const object = { originId: 'o.-_1', bucket: 'b', key: 'k', etag: 'e', sizeBytes: 100 };
    const { path } = chunkAt(object, 10, 9);
    const key = { high: 0, low: 0, shard: 0 };
    readKey(path, key);
    expect(key).toEqual({ high: keyHigh(path), low: keyLow(path), shard: shardOf(path) });
    expect(path.startsWith(shardPrefix('o.-_1', key.shard))).toBe(true);
  });

  it('the digits of a version alone have the shard of its chunks', () => {
    expect(shardOf(versionOf('x'))).toBe(shardOf(chunkPathOf('x', 7)));
  });

  it('chunks of a version differ in the lower half of the key only', () => {
    const lows = new Set<number>();
    for (let at = 0; at < 5_000; at++) lows.add(keyLow(chunkPathOf('v', at)));
    expect(lows.size).toBe(5_000);
    expect(keyHigh(chunkPathOf('v', 1))).toBe(keyHigh(chunkPathOf('v', 2)));
  });

  it('a path without a version is a defect of the caller', () => {
    for (const path of ['', 'x', 'lake/short/1', `lake/${VERSION.toUpperCase()}/1`, `_orca/probe/1`])
      expect(() => keyHigh(path)).toThrow(expect.objectContaining({ code: 'internal' }));
  });

  it('names all shards with two digits', () => {
    expect([0, 10, 255].map(shardName)).toEqual(['00', '0a', 'ff']);
    expect(SHARDS).toBe(256);
  });

  it('a minute is never 0, which means "no record"', () => {
    expect([minuteOf(0), minuteOf(59_999), minuteOf(120_000)]).toEqual([1, 1, 2]);
  });
});

describe('parseChunkName', () => {
  it('returns the parts of a path', () => {
    fc.assert(
      fc.property(index, (at) => {
        expect(parseChunkName(`lake/${VERSION}/${at}`, 'lake')).toEqual({ versionHex: VERSION, index: at });
      }),
      { numRuns: RUNS },
    );
  });

  it.each([
    ['another cache', `other/${VERSION}/1`],
    ['another cache whose name begins like this one', `lake2/${VERSION}/1`],
    ['an index that is spelled differently', `lake/${VERSION}/01`],
    ['no index', `lake/${VERSION}/`],
    ['a version only', `lake/${VERSION}`],
    ['a negative index', `lake/${VERSION}/-1`],
    ['a name below the chunk', `lake/${VERSION}/1/2`],
    ['an index that is no safe integer', `lake/${VERSION}/${'9'.repeat(16)}`],
    ['upper-case digits', `lake/${VERSION.toUpperCase()}/1`],
    ['a short version', `lake/${VERSION.slice(1)}/1`],
    ['a long version', `lake/${VERSION}0/1`],
    ['a temporary file', `lake/${VERSION}/.tmp-1`],
    ['digits of another script', `lake/${VERSION}/１`],
  ])('%s is no chunk of this cache', (_, name) => {
    expect(parseChunkName(name, 'lake')).toBeUndefined();
  });

  it('whatever it accepts is the one spelling of a chunk, and has a key', () => {
    const name = fc.oneof(damaged(`lake/${VERSION}/12`), nasty('lake', '/', VERSION, '0', '12', '.', '..'));
    fc.assert(
      fc.property(name, (text) => {
        const parsed = parseChunkName(text, 'lake');
        if (parsed === undefined) return;
        expect(`lake/${parsed.versionHex}/${parsed.index}`).toBe(text);
        expect(() => keyLow(text)).not.toThrow();
      }),
      { numRuns: RUNS },
    );
  });
});
