import { expect, test } from 'vitest';
import { FreshFlights } from '#cache/engine/metadata/fresh-flights.ts';

function open() {
  const flights = new FreshFlights<number>();
  const calls: PromiseWithResolvers<number>[] = [];
  const call = () => {
    const started = Promise.withResolvers<number>();
    calls.push(started);
    return started.promise;
  };
  const ask = (acceptsAge: boolean) => flights.do('name', acceptsAge, call);
  /** Lets all callbacks run. */
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { calls, ask, settle };
}

test('callers that accept an age share the call in flight', async () => {
  const { calls, ask } = open();
  const answers = [ask(true), ask(true), ask(true)];
  expect(calls).toHaveLength(1);
  calls[0]!.resolve(1);
  expect(await Promise.all(answers)).toEqual([1, 1, 1]);
});

test('callers that accept none share the next call, which starts after their requests', async () => {
  const { calls, ask, settle } = open();
  const first = ask(false);
  const second = [ask(false), ask(false)];
  await settle();
  expect(calls).toHaveLength(1);
  calls[0]!.resolve(1);
  await settle();
  expect(calls).toHaveLength(2);
  // The second call is at the origin already.
  const third = ask(false);
  calls[1]!.resolve(2);
  await settle();
  expect(calls).toHaveLength(3);
  calls[2]!.resolve(3);
  expect([await first, await Promise.all(second), await third]).toEqual([1, [2, 2], 3]);
});

test('a failed call fails its own callers only', async () => {
  const { calls, ask, settle } = open();
  const first = ask(false);
  const second = ask(false);
  calls[0]!.reject(new Error('injected'));
  await expect(first).rejects.toThrow('injected');
  await settle();
  calls[1]!.resolve(2);
  expect(await second).toBe(2);
});

test('after the last call the next one starts at once', async () => {
  const { calls, ask } = open();
  const first = ask(false);
  calls[0]!.resolve(1);
  await first;
  void ask(false);
  expect(calls).toHaveLength(2);
});
