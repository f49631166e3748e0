/** Shared by the fuzz tests: the number of cases, and texts that are hard to parse. */
import * as fc from 'fast-check';
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';

/** The cases of most properties. `hack/test` asks for ten times as many; each run has a new seed, so runs add up. */
export const RUNS = Number(process.env['FUZZ_RUNS'] ?? 500);

/** What every object inherits: a look-up of such a name in a record must find nothing. */
export const inheritedName = fc.constantFrom(...Object.getOwnPropertyNames(Object.prototype));

const SURROGATES = { from: 0xd800, to: 0xe000 };

/**
 * A Unicode scalar value. fast-check's units `binary` and `grapheme` are avoided: each builds a map of all its values, which
 * takes a second.
 */
export const codePoint = fc.nat(0x10_ffff - (SURROGATES.to - SURROGATES.from)).map(
  (rank) => String.fromCodePoint(rank < SURROGATES.from ? rank : rank + SURROGATES.to - SURROGATES.from),
  (text) => {
    const code = typeof text === 'string' ? (text.codePointAt(0) ?? -1) : -1;
    if (code < 0 || text !== String.fromCodePoint(code)) throw new Error('not one code point');
    return code < SURROGATES.from ? code : code - (SURROGATES.to - SURROGATES.from);
  },
);
const anyUnicode = fc.string({ unit: codePoint, maxLength: 6 });
const anyAscii = fc.string({ maxLength: 6 });
const replacement = fc.string({ minLength: 1, maxLength: 3 });

/** Well-formed and malformed text, in which significant characters are more frequent than by chance. */
export const nasty = (...meaningful: readonly string[]): fc.Arbitrary<string> =>
  fc
    .array(
      fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom(...meaningful) },
        { weight: 1, arbitrary: anyUnicode },
        { weight: 1, arbitrary: anyAscii },
        {
          weight: 1,
          arbitrary: fc.constantFrom(
            '\0',
            '\r\n',
            '\n',
            '\u{1f433}',
            '\ud800',
            'é',
            '\xff',
            ' ',
            '__proto__',
            'constructor',
            '',
          ),
        },
      ),
      { maxLength: 12 },
    )
    .map((parts) => parts.join(''));

/** `text` unchanged, or with one character removed, doubled, or replaced. */
export const damaged = (text: string): fc.Arbitrary<string> =>
  fc
    .record({
      at: fc.nat(Math.max(0, text.length - 1)),
      how: fc.nat(3),
      other: replacement,
    })
    .map(({ at, how, other }) => {
      const [before, here, after] = [text.slice(0, at), text.slice(at, at + 1), text.slice(at + 1)];
      return before + ['', here + here, other, here + other][how] + after;
    });

/** The result of `call`, or the OrcaError that it throws; any other error is a failure. */
export function outcomeOf<T>(call: () => T, ...codes: readonly ErrorCode[]): { value: T } | { error: OrcaError } {
  try {
    return { value: call() };
  } catch (error) {
    if (error instanceof OrcaError && (codes.length === 0 || codes.includes(error.code))) return { error };
    throw error;
  }
}
