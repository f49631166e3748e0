import { expect, test } from 'vitest';
import { Singleflight, type Flight } from '#shared/singleflight.ts';

/** A call that the test settles, and how often it was started. */
function gatedCall() {
  const gates: PromiseWithResolvers<string>[] = [];
  const flights: Flight[] = [];
  const call = (flight: Flight): Promise<string> => {
    const gate = Promise.withResolvers<string>();
    gates.push(gate);
    flights.push(flight);
    return gate.promise;
  };
  return { gates, flights, call };
}

test('concurrent calls with one key are one call, and share its value', async () => {
  const flights = new Singleflight<string, string>();
  const { gates, call } = gatedCall();
  const callers = [flights.do('a', call), flights.do('a', call), flights.do('a', call)];
  expect([gates.length, flights.size]).toEqual([1, 1]);
  gates[0]!.resolve('value');
  expect(await Promise.all(callers)).toEqual(['value', 'value', 'value']);
  expect(flights.size).toBe(0);
});

test('different keys are different calls', async () => {
  const flights = new Singleflight<string, string>();
  const { gates, call } = gatedCall();
  const callers = [flights.do('a', call), flights.do('b', call)];
  gates[0]!.resolve('of a');
  gates[1]!.resolve('of b');
  expect(await Promise.all(callers)).toEqual(['of a', 'of b']);
});

test('a failure reaches every caller, and a caller that retries at once starts a new call', async () => {
  const flights = new Singleflight<string, string>();
  const { gates, call } = gatedCall();
  const retried = flights.do('a', call).catch(() => flights.do('a', call));
  const failed = flights.do('a', call);
  gates[0]!.reject(new Error('origin down'));
  await expect(failed).rejects.toThrow('origin down');
  expect(gates).toHaveLength(2);
  gates[1]!.resolve('second');
  expect(await retried).toBe('second');
});

test('a forgotten call answers those who wait, is told so, and is not joined again', async () => {
  const flights = new Singleflight<string, string>();
  const { gates, flights: told, call } = gatedCall();
  const before = flights.do('a', call);
  flights.forget('a');
  const after = flights.do('a', call);
  expect([gates.length, told[0]!.isForgotten, told[1]!.isForgotten]).toEqual([2, true, false]);
  gates[0]!.resolve('old');
  expect(await before).toBe('old');
  // The old call's end does not remove the new one.
  expect(flights.size).toBe(1);
  gates[1]!.resolve('new');
  expect(await after).toBe('new');
});

test('a failure that nobody waits for is not an unhandled rejection', async () => {
  const flights = new Singleflight<string, string>();
  void flights.do('a', () => Promise.reject(new Error('nobody listens')));
  await new Promise((resolve) => setImmediate(resolve));
  expect(flights.size).toBe(0);
});
