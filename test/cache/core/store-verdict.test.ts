import { assert, constantFrom, array, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeVerdict,
  describeVerdict,
  encodeVerdict,
  judge,
  VERDICT_KEPT_MS,
  type Offer,
  type StoreFindings,
  type StoreVerdict,
} from '#cache/core/store-verdict.ts';

const FINE = { first: 'won', again: 'taken', problems: [], versioned: false } as const;
const race = (offers: readonly Offer[], standing: number | undefined = offers.indexOf('won')) => ({ offers, standing });
const taken = (count: number): Offer[] => Array.from({ length: count }, () => 'taken');

describe('judge', () => {
  test.for([
    ['one winner whose bytes stand', { ...FINE, race: race(['won', ...taken(15)]) }, 'atomic'],
    ['a few cut answers', { ...FINE, race: race(['open', 'won', 'open', ...taken(13)]) }, 'atomic'],
    ['a cut answer to the first try', { ...FINE, first: 'open', race: race(['won', ...taken(15)]) }, 'atomic'],
    ['most refusals cut', { ...FINE, race: race(['won', 'taken', 'open', 'open', 'open', 'open']) }, 'atomic'],
    ['all refusals cut', { ...FINE, race: race(['won', 'open', 'open', 'open']) }, undefined],
    ['the winner’s answer cut', { ...FINE, race: race(['open', ...taken(15)], 0) }, undefined],
    ['no winner', { ...FINE, race: race(taken(16)) }, undefined],
    ['no race', FINE, undefined],
    ['two winners', { ...FINE, race: race(['won', 'won', ...taken(14)]) }, 'racy'],
    ['bytes of one who lost', { ...FINE, race: race(['won', ...taken(15)], 3) }, 'racy'],
    ['bytes of nobody', { ...FINE, race: { offers: ['won', ...taken(15)], standing: undefined } }, 'racy'],
    ['a second 200 for one name', { ...FINE, again: 'won' }, 'ignored'],
    ['a 501', { ...FINE, first: 'unsupported', again: 'unsupported' }, 'unsupported'],
    ['a 501 in the race', { ...FINE, race: race(['won', 'unsupported', ...taken(14)]) }, 'unsupported'],
    ['409 to the first try', { ...FINE, first: 'conflict', again: 'conflict' }, 'conflicting'],
    ['409 without end in the race', { ...FINE, race: race(['won', 'conflict', ...taken(14)]) }, 'conflicting'],
    ['two winners and a 409', { ...FINE, race: race(['won', 'won', 'conflict']) }, 'racy'],
  ] as const satisfies readonly (readonly [string, StoreFindings, string | undefined])[])(
    '%s',
    ([, findings, condition]) => {
      expect(judge(findings)).toBe(condition);
    },
  );

  test('never calls atomic what had another number of winners than one', () => {
    const offer = constantFrom<Offer>('won', 'taken', 'conflict', 'unsupported', 'open');
    assert(
      property(offer, offer, array(offer, { minLength: 1, maxLength: 16 }), (first, again, offers) => {
        const isAtomic = judge({ ...FINE, first, again, race: race(offers) }) === 'atomic';
        expect(isAtomic && offers.filter((one) => one === 'won').length !== 1).toBe(false);
      }),
    );
  });
});

describe('the note in the store', () => {
  const NOW = Date.UTC(2026, 0, 1);
  const verdict: StoreVerdict = { condition: 'racy', problems: ['range'], versioned: true, probedAtMs: NOW };

  test('says what was found', () => {
    expect(decodeVerdict(encodeVerdict(verdict), NOW + 1)).toEqual(verdict);
    const silent = { ...verdict, versioned: undefined };
    expect(decodeVerdict(encodeVerdict(silent), NOW + 1)).toEqual(silent);
  });

  test('counts for a day, and a little before it was written', () => {
    const note = encodeVerdict(verdict);
    expect(decodeVerdict(note, NOW + VERDICT_KEPT_MS - 1)).toEqual(verdict);
    expect(decodeVerdict(note, NOW + VERDICT_KEPT_MS)).toBeUndefined();
    expect(decodeVerdict(note, NOW - 60_000)).toEqual(verdict);
    expect(decodeVerdict(note, NOW - 60 * 60_000)).toBeUndefined();
  });

  test.for([
    ['nothing', ''],
    ['no JSON', 'hello'],
    ['no object', '[]'],
    ['null', 'null'],
    ['another format', JSON.stringify({ ...verdict, format: 2 })],
    ['an unknown condition', JSON.stringify({ ...verdict, format: 1, condition: 'fine' })],
    ['no time', JSON.stringify({ ...verdict, format: 1, probedAtMs: undefined })],
  ])('is none with %s in it', ([, text]) => {
    expect(decodeVerdict(Buffer.from(text ?? ''), NOW)).toBeUndefined();
  });

  test('is told in a line, with what else is wrong', () => {
    expect(describeVerdict(verdict)).toMatch(/^racy: .*; ranges are not honoured$/);
  });
});
