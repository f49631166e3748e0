import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frame, seal } from '#cache/core/capacity/framing.ts';
import {
  isPinName,
  MAX_PINNED_VERSIONS,
  parsePinObjectName,
  pinObjectName,
  PinSet,
} from '#cache/core/capacity/pins.ts';
import { damagedBytes, sizeBytes, versionOf } from '#test/support/capacity.ts';
import { damaged, nasty, RUNS } from '#test/support/fuzz.ts';

const versions = fc.uniqueArray(fc.nat(200), { maxLength: 60 });
const header = fc.record({
  name: fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/),
  expiresMs: fc.option(fc.nat()),
  bytes: sizeBytes,
});

describe('a set of pinned versions', () => {
  it('has exactly its versions, also after it was stored', () => {
    fc.assert(
      fc.property(header, versions, (head, pinned) => {
        const set = PinSet.of(head, pinned.map(versionOf));
        const decoded = PinSet.decode(set.encode());
        expect(decoded?.header).toEqual(head);
        for (const one of [set, decoded]) {
          expect(one?.size).toBe(pinned.length);
          for (let name = 0; name < 210; name++) expect(one?.has(versionOf(name))).toBe(pinned.includes(name));
        }
      }),
      { numRuns: RUNS / 5 },
    );
  });

  it('has a version once, however often it is given', () => {
    const set = PinSet.of({ name: 'p', expiresMs: null, bytes: 1 }, [versionOf(1), versionOf(1)]);
    expect(set.size).toBe(1);
  });

  it('is unreadable, and not empty, when it is damaged', () => {
    const stored = fc.tuple(header, versions).map(([head, pinned]) => PinSet.of(head, pinned.map(versionOf)).encode());
    fc.assert(
      fc.property(stored.chain(damagedBytes), (bytes) => {
        expect(PinSet.decode(bytes)).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
  });

  it('is unreadable when its versions are not sorted, or occur twice', () => {
    const header = { name: 'p', expiresMs: null, bytes: 1 };
    const encode = (...prefixes: readonly number[]): Uint8Array => {
      const framed = frame('OCP1', header, prefixes.length * 8, true);
      prefixes.forEach((prefix, at) => framed.view.setUint32(framed.bodyAt + at * 8, prefix, true));
      return seal(framed);
    };
    expect(PinSet.decode(encode(1, 2))?.size).toBe(2);
    expect(PinSet.decode(encode(2, 1))).toBeUndefined();
    expect(PinSet.decode(encode(1, 1))).toBeUndefined();
  });

  it('has a limit', () => {
    function* many(): Generator<string> {
      for (let at = 0; at <= MAX_PINNED_VERSIONS; at++) yield at.toString(16).padStart(16, '0').padEnd(64, '0');
    }
    expect(() => PinSet.of({ name: 'all', expiresMs: null, bytes: 1 }, many())).toThrow(
      expect.objectContaining({ code: 'invalid_argument', message: expect.stringContaining('use several pins') }),
    );
  });
});

describe('names of pins', () => {
  it('are those of objects in the store', () => {
    expect(pinObjectName('nightly.v2', 0xa7)).toBe('_orca/pins/nightly.v2/a7');
    expect(parsePinObjectName('_orca/pins/nightly.v2/a7')).toEqual({ name: 'nightly.v2', shard: 0xa7 });
  });

  it.each(['', 'A', 'a_b', 'a/b', '..', 'a..b', '.a', 'a.', '-a', 'x'.repeat(64), 'é'])('%j is refused', (name) => {
    expect(isPinName(name)).toBe(false);
    expect(() => pinObjectName(name, 1)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it('whatever is parsed is the one spelling of a name', () => {
    const name = fc.oneof(
      damaged('_orca/pins/nightly.v2/a7'),
      nasty('_orca/pins/', 'a', '/', 'a7', '00', 'A7', '..').map((text) => `_orca/pins/${text}`),
    );
    fc.assert(
      fc.property(name, (text) => {
        const parsed = parsePinObjectName(text);
        if (parsed !== undefined) expect(pinObjectName(parsed.name, parsed.shard)).toBe(text);
      }),
      { numRuns: RUNS },
    );
  });
});
