import { describe, expect, test } from 'vitest';
import { streamGate } from '#cache/peers/stream-gate.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const never = new AbortController().signal;

function open(maxActive = 1, maxWaiting = 2) {
  const clock = fakeClock();
  return { clock, gate: streamGate({ maxActive, maxWaiting, waitMs: 5000 }, clock) };
}

describe('the gate', () => {
  test('admits up to its limit', async () => {
    const { gate, clock } = open(2);
    await gate.enter(never);
    await gate.enter(never);
    expect(gate.active).toBe(2);
    expect(clock.pending()).toBe(0);
  });

  test('hands a freed slot to the first waiter', async () => {
    const { gate, clock } = open();
    const order: string[] = [];
    const leave = await gate.enter(never);
    const a = gate.enter(never).then((leave) => {
      order.push('a');
      return leave;
    });
    const b = gate.enter(never).then(() => order.push('b'));
    leave();
    // A later arrival queues behind b, although a has not continued yet.
    expect(gate.active).toBe(1);
    (await a)();
    await b;
    expect(order).toEqual(['a', 'b']);
    expect(clock.pending()).toBe(0);
  });

  test('frees a slot once, however often it is released', async () => {
    const { gate } = open();
    const leave = await gate.enter(never);
    leave();
    leave();
    expect(gate.active).toBe(0);
  });

  test('refuses a caller when the queue is full', async () => {
    const { gate } = open(1, 0);
    await gate.enter(never);
    await expect(gate.enter(never)).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 1000 });
  });

  test('limits the wait to 5 s, and keeps no slot for a caller that timed out', async () => {
    const { gate, clock } = open();
    const leave = await gate.enter(never);
    const late = gate.enter(never).catch((error: unknown) => error);
    await clock.advance(5000);
    expect(await late).toMatchObject({ code: 'overloaded' });
    leave();
    expect(gate.active).toBe(0);
  });

  test('removes an aborted waiter', async () => {
    const { gate, clock } = open();
    const leave = await gate.enter(never);
    const stop = new AbortController();
    const waiting = gate.enter(stop.signal);
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    await expect(gate.enter(stop.signal)).rejects.toMatchObject({ code: 'cancelled' });
    leave();
    expect(gate.active).toBe(0);
    expect(clock.pending()).toBe(0);
  });
});
