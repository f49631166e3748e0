import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { ANY_VERSION } from '#cache/core/peer/head-request.ts';
import { HeadTable } from '#cache/engine/metadata/head-table.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const NAME = 'bucket\0key';

function open() {
  const clock = fakeClock();
  const table = new HeadTable({ clock, maxEntries: 10, negativeTtlMs: 1_000 });
  const learned = (etag: string, learnedMs = clock.now()) => ({
    head: { etag, sizeBytes: 1, lastModifiedMs: 0, headers: {} },
    learnedMs,
  });
  return { clock, table, learned };
}

test('a head is fresh while it is younger than the maximum age, so never with 0', async () => {
  const { clock, table, learned } = open();
  table.remember(NAME, learned('a'));
  expect(table.fresh(NAME, 0)).toBeUndefined();
  await clock.advance(100);
  expect([table.fresh(NAME, 100), table.fresh(NAME, 101)?.head.etag]).toEqual([undefined, 'a']);
});

test('reports the version that a head replaces, and keeps the head that was learned last', async () => {
  const { clock, table, learned } = open();
  const early = learned('a');
  await clock.advance(10);
  expect(table.remember(NAME, learned('b'))).toEqual({});
  expect(table.remember(NAME, early)).toEqual({});
  expect(table.fresh(NAME, 100)?.head.etag).toBe('b');
  expect(table.remember(NAME, learned('b'))).toEqual({});
  expect(table.remember(NAME, learned('c'))).toEqual({ replaced: { etag: 'b', sizeBytes: 1 } });
});

test('reports a version that was found to be outdated when the next one is known, once', () => {
  const { table, learned } = open();
  table.remember(NAME, learned('a'));
  table.forget(NAME, 'a');
  expect(table.remember(NAME, learned('b'))).toEqual({ outdated: { etag: 'a', sizeBytes: 1 } });
  expect(table.remember(NAME, learned('c'))).toEqual({ replaced: { etag: 'b', sizeBytes: 1 } });
});

test('does not report an outdated version whose size is not known, or that has returned', async () => {
  const { clock, table, learned } = open();
  table.forget(NAME, 'a');
  expect(table.remember(NAME, learned('b'))).toEqual({});
  table.forget(NAME, 'b');
  await clock.advance(1);
  expect(table.remember(NAME, learned('b'))).toEqual({});
});

test('an absence replaces the head, and is kept for the rest of the negative TTL', async () => {
  const { clock, table, learned } = open();
  table.remember(NAME, learned('a'));
  const absence = (maxAgeMs = Infinity) => table.absence(NAME, maxAgeMs)?.error.code;
  table.rememberFailure(NAME, new OrcaError('origin_unavailable', 'down'), clock.now());
  expect([table.fresh(NAME, 1)?.head.etag, absence()]).toEqual(['a', undefined]);
  await clock.advance(400);
  table.rememberFailure(NAME, new OrcaError('not_found', 'no object', { ageMs: 400 }), clock.now());
  expect([table.fresh(NAME, 1_000), absence(), absence(400), absence(401)]).toEqual([
    undefined,
    'not_found',
    undefined,
    'not_found',
  ]);
  await clock.advance(600);
  expect(absence()).toBeUndefined();
});

test('the answer to the later request decides, in whichever order they arrive', async () => {
  const { clock, table, learned } = open();
  const earlyMs = clock.now();
  await clock.advance(10);
  table.remember(NAME, learned('a'));
  table.rememberFailure(NAME, new OrcaError('not_found', 'no object'), earlyMs);
  expect(table.fresh(NAME, 1)?.head.etag).toBe('a');
  await clock.advance(10);
  table.rememberFailure(NAME, new OrcaError('not_found', 'no object'), clock.now());
  table.remember(NAME, learned('a', earlyMs));
  expect([table.fresh(NAME, 100), table.absence(NAME, 100)?.error.code]).toEqual([undefined, 'not_found']);
});

test('an outdated version is recorded again only if the origin reports it later', async () => {
  const { clock, table, learned } = open();
  const early = learned('a');
  table.remember(NAME, early);
  await clock.advance(10);
  expect(table.isForgotten(NAME, 'a')).toBe(false);
  table.forget(NAME, 'a');
  expect(table.isForgotten(NAME, 'a')).toBe(true);
  table.remember(NAME, early);
  expect(table.fresh(NAME, 100)).toBeUndefined();
  await clock.advance(10);
  table.remember(NAME, learned('a'));
  expect([table.isForgotten(NAME, 'a'), table.isOutdated(NAME, 'a')]).toEqual([false, false]);
});

test('forgets one version, and leaves another that is known already', () => {
  const { table, learned } = open();
  table.remember(NAME, learned('new'));
  table.forget(NAME, 'old');
  expect(table.fresh(NAME, 1)?.head.etag).toBe('new');
  expect([table.isOutdated(NAME, 'old'), table.isOutdated(NAME, 'new')]).toEqual([true, false]);
  table.forget(NAME, 'new');
  expect(table.size).toBe(0);
});

test('after a purge every version is outdated, until the next head is recorded', () => {
  const { table, learned } = open();
  table.rememberFailure(NAME, new OrcaError('not_found', 'no object'), 0);
  table.forget(NAME, ANY_VERSION);
  expect([table.size, table.isOutdated(NAME, 'a')]).toEqual([0, true]);
  table.remember(NAME, learned('a'));
  expect(table.isOutdated(NAME, 'a')).toBe(false);
});
