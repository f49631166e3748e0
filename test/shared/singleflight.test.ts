import { expect, test } from 'vitest';
import { Singleflight, type CallInFlight } from '#shared/singleflight.ts';

/** A call that the test settles; `gates` has one entry per start. */
function gatedCall() {
  const gates: PromiseWithResolvers<string>[] = [];
  const flights: CallInFlight[] = [];
  const call = (flight: CallInFlight): Promise<string> => {
    const gate = Promise.withResolvers<string>();
    gates.push(gate);
    flights.push(flight);
    return gate.promise;
  };
  return { gates, flights, call };
}

test('concurrent calls with the same key are coalesced and share the value', async () => {
  const flights = new Singleflight<string, string>();
  const { gates, call } = gatedCall();
  const callers = [flights.do('a', call), flights.do('a', call), flights.do('a', call)];
  expect([gates.length, flights.size]).toEqual([1, 1]);
  gates[0]!.resolve('value');
  expect(await Promise.all(callers)).toEqual(['value', 'value', 'value']);
  expect(flights.size).toBe(0);
});

test('calls with different keys are not coalesced', async () => {
  const flights = new Singleflight<string, string>();
  const { gates, call } = gatedCall();
  const callers = [flights.do('a', call), flights.do('b', call)];
  gates[0]!.resolve('value of a');
  gates[1]!.resolve('value of b');
  expect(await Promise.all(callers)).toEqual(['value of a', 'value of b']);
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

test('a forgotten call still resolves for its waiters, is marked as forgotten, and is not joined again', async () => {
  const flights = new Singleflight<string, string>();
  const { gates, flights: started, call } = gatedCall();
  const before = flights.do('a', call);
  flights.forget('a');
  const after = flights.do('a', call);
  expect([gates.length, started[0]!.isForgotten, started[1]!.isForgotten]).toEqual([2, true, false]);
  gates[0]!.resolve('old');
  expect(await before).toBe('old');
  // The old call's end does not remove the new one.
  expect(flights.size).toBe(1);
  gates[1]!.resolve('new');
  expect(await after).toBe('new');
});

test('a failure without waiters is not an unhandled rejection', async () => {
  const flights = new Singleflight<string, string>();
  void flights.do('a', () => Promise.reject(new Error('ignored')));
  await new Promise((resolve) => setImmediate(resolve));
  expect(flights.size).toBe(0);
});

test('a call that throws at once fails like one that rejects, and frees its key', async () => {
  const flights = new Singleflight<string, string>();
  const failed = flights.do('a', () => {
    throw new Error('bad input');
  });
  await expect(failed).rejects.toThrow('bad input');
  expect(await flights.do('a', async () => 'value')).toBe('value');
});

test('the call in flight is known until it ends or is forgotten', async () => {
  const flights = new Singleflight<string, string>();
  const { gates, call } = gatedCall();
  expect(flights.current('a')).toBeUndefined();
  const first = flights.do('a', call);
  expect(flights.current('a')).toBe(first);
  flights.forget('a');
  expect(flights.current('a')).toBeUndefined();
  const second = flights.do('a', call);
  gates[0]!.resolve('first');
  gates[1]!.resolve('second');
  expect(await Promise.all([first, second])).toEqual(['first', 'second']);
  expect(flights.current('a')).toBeUndefined();
});
