import { assert, constantFrom, array, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeVerdict,
  describeVerdict,
  encodeVerdict,
  judgeConditionalWrites,
  VERDICT_KEPT_MS,
  type PutOutcome,
  type StoreFindings,
  type StoreVerdict,
} from '#cache/core/store-verdict.ts';

const FINE = { first: 'won', second: 'taken', problems: [], versioned: false } as const;
const race = (outcomes: readonly PutOutcome[], storedWriter: number | undefined = outcomes.indexOf('won')) => ({
  outcomes,
  storedWriter,
});
const taken = (count: number): PutOutcome[] => Array.from({ length: count }, () => 'taken');

describe('judgeConditionalWrites', () => {
  test.for([
    ['one winner whose bytes were stored', { ...FINE, race: race(['won', ...taken(15)]) }, 'atomic'],
    ['a few lost responses', { ...FINE, race: race(['unknown', 'won', 'unknown', ...taken(13)]) }, 'atomic'],
    ['a lost response to the first write', { ...FINE, first: 'unknown', race: race(['won', ...taken(15)]) }, 'atomic'],
    [
      'most 412 responses lost',
      { ...FINE, race: race(['won', 'taken', 'unknown', 'unknown', 'unknown', 'unknown']) },
      'atomic',
    ],
    ['all 412 responses lost', { ...FINE, race: race(['won', 'unknown', 'unknown', 'unknown']) }, undefined],
    ['the winner’s response lost', { ...FINE, race: race(['unknown', ...taken(15)], 0) }, undefined],
    ['no winner', { ...FINE, race: race(taken(16)) }, undefined],
    ['no race', FINE, undefined],
    ['two winners', { ...FINE, race: race(['won', 'won', ...taken(14)]) }, 'racy'],
    ['the bytes of a losing writer', { ...FINE, race: race(['won', ...taken(15)], 3) }, 'racy'],
    ['the bytes of no writer', { ...FINE, race: { outcomes: ['won', ...taken(15)], storedWriter: undefined } }, 'racy'],
    ['a second 200 for the same name', { ...FINE, second: 'won' }, 'ignored'],
    ['a 501', { ...FINE, first: 'unsupported', second: 'unsupported' }, 'unsupported'],
    ['a 501 in the race', { ...FINE, race: race(['won', 'unsupported', ...taken(14)]) }, 'unsupported'],
    ['409 for the first write', { ...FINE, first: 'conflict', second: 'conflict' }, 'conflicting'],
    ['endless 409 in the race', { ...FINE, race: race(['won', 'conflict', ...taken(14)]) }, 'conflicting'],
    ['two winners and a 409', { ...FINE, race: race(['won', 'won', 'conflict']) }, 'racy'],
  ] as const satisfies readonly (readonly [string, StoreFindings, string | undefined])[])(
    '%s',
    ([, findings, condition]) => {
      expect(judgeConditionalWrites(findings)).toBe(condition);
    },
  );

  test('is never atomic unless exactly one writer won', () => {
    const outcome = constantFrom<PutOutcome>('won', 'taken', 'conflict', 'unsupported', 'unknown');
    assert(
      property(outcome, outcome, array(outcome, { minLength: 1, maxLength: 16 }), (first, second, outcomes) => {
        const isAtomic = judgeConditionalWrites({ ...FINE, first, second, race: race(outcomes) }) === 'atomic';
        expect(isAtomic && outcomes.filter((one) => one === 'won').length !== 1).toBe(false);
      }),
    );
  });
});

describe('the note in the cachestore', () => {
  const NOW = Date.UTC(2026, 0, 1);
  const verdict: StoreVerdict = { condition: 'racy', problems: ['range'], versioned: true, probedAtMs: NOW };

  test('decodes to the verdict that was encoded', () => {
    expect(decodeVerdict(encodeVerdict(verdict), NOW + 1)).toEqual(verdict);
    const unversioned = { ...verdict, versioned: undefined };
    expect(decodeVerdict(encodeVerdict(unversioned), NOW + 1)).toEqual(unversioned);
  });

  test.for(['list', 'delete'] as const)('is valid for an hour if the store does not permit to %s', (problem) => {
    const denied = { ...verdict, problems: [problem] };
    const note = encodeVerdict(denied);
    expect(decodeVerdict(note, NOW + 60 * 60_000 - 1)).toEqual(denied);
    expect(decodeVerdict(note, NOW + 60 * 60_000)).toBeUndefined();
  });

  test('is valid for a day, and tolerates clock skew', () => {
    const note = encodeVerdict(verdict);
    expect(decodeVerdict(note, NOW + VERDICT_KEPT_MS - 1)).toEqual(verdict);
    expect(decodeVerdict(note, NOW + VERDICT_KEPT_MS)).toBeUndefined();
    expect(decodeVerdict(note, NOW - 60_000)).toEqual(verdict);
    expect(decodeVerdict(note, NOW - 60 * 60_000)).toBeUndefined();
  });

  test.for([
    ['no content', ''],
    ['no JSON', 'hello'],
    ['an array', '[]'],
    ['null', 'null'],
    ['another format', JSON.stringify({ ...verdict, format: 2 })],
    ['an unknown condition', JSON.stringify({ ...verdict, format: 1, condition: 'fine' })],
    ['no time', JSON.stringify({ ...verdict, format: 1, probedAtMs: undefined })],
  ])('is ignored if it contains %s', ([, text]) => {
    expect(decodeVerdict(Buffer.from(text ?? ''), NOW)).toBeUndefined();
  });

  test('is described in one line with its problems', () => {
    expect(describeVerdict(verdict)).toMatch(/^racy: .*; the store does not honor Range requests$/);
  });
});
