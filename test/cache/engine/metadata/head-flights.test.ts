import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { LearnedHead } from '#cache/core/peer/head-message.ts';
import { HeadFlights } from '#cache/engine/metadata/head-flights.ts';
import { turns } from '#test/support/engine-checks.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

/** Lookups whose calls the test answers by hand, in the order in which they began. */
function open() {
  const clock = fakeClock();
  const flights = new HeadFlights(clock);
  const calls: { readonly answer: (learnedMs?: number) => void; readonly fail: (error: Error) => void }[] = [];
  const ask = (maxAgeMs: number) =>
    flights.do('a', maxAgeMs, () => {
      const { promise, resolve, reject } = Promise.withResolvers<LearnedHead>();
      const beganMs = clock.now();
      const etag = `version ${calls.length}`;
      const head = { etag, sizeBytes: 1, lastModifiedMs: 0, headers: {} };
      calls.push({ answer: (learnedMs = beganMs) => resolve({ head, learnedMs }), fail: reject });
      return promise;
    });
  const etags = async (...asked: Promise<LearnedHead>[]) => (await Promise.all(asked)).map(({ head }) => head.etag);
  return { clock, flights, calls, ask, etags };
}

test('a caller that accepts no age shares only a call that begins after it, also within one millisecond', async () => {
  const { calls, ask, etags } = open();
  const first = ask(0);
  const later = [ask(0), ask(0), ask(0)];
  calls[0]!.answer();
  expect(await etags(first)).toEqual(['version 0']);
  await turns(2);
  expect(calls).toHaveLength(2);
  // Began before this caller.
  const last = ask(0);
  calls[1]!.answer();
  expect(await etags(...later)).toEqual(['version 1', 'version 1', 'version 1']);
  await turns(2);
  calls[2]!.answer();
  expect(await etags(last)).toEqual(['version 2']);
  expect(calls).toHaveLength(3);
});

test('callers that accept some age share the call in flight', async () => {
  const { clock, calls, ask, etags } = open();
  const asked = [ask(5_000)];
  for (let i = 0; i < 100; i++) {
    await clock.advance(10);
    asked.push(ask(5_000));
  }
  calls[0]!.answer();
  expect(new Set(await etags(...asked))).toEqual(new Set(['version 0']));
  expect(calls).toHaveLength(1);
});

test('an outcome that has become too old while it was awaited is requested again', async () => {
  const { clock, calls, ask, etags } = open();
  const first = ask(1_000);
  await clock.advance(500);
  const second = ask(1_000);
  // Another replica's entry, 900 ms old when it was requested.
  calls[0]!.answer(clock.now() - 500 - 900);
  expect(await etags(first)).toEqual(['version 0']);
  await turns(2);
  calls[1]!.answer();
  expect(await etags(second)).toEqual(['version 1']);
});

test('an absence is requested again like a head; an outage is shared', async () => {
  const { clock, calls, ask, etags } = open();
  const first = ask(0);
  await clock.advance(10);
  const second = ask(0);
  calls[0]!.fail(new OrcaError('not_found', 'no object'));
  await expect(first).rejects.toMatchObject({ code: 'not_found' });
  await turns(2);
  const third = ask(0);
  calls[1]!.answer();
  expect(await etags(second)).toEqual(['version 1']);
  await turns(2);
  const fourth = ask(0);
  calls[2]!.fail(new OrcaError('origin_unavailable', 'down'));
  for (const asked of [third, fourth]) await expect(asked).rejects.toMatchObject({ code: 'origin_unavailable' });
  expect(calls).toHaveLength(3);
});

test('only callers that are already waiting receive the outcome of a forgotten call', async () => {
  const { flights, calls, ask, etags } = open();
  const before = ask(5_000);
  flights.forget('a');
  const after = ask(5_000);
  calls[1]!.answer();
  calls[0]!.answer();
  expect(await etags(before, after)).toEqual(['version 0', 'version 1']);
});
