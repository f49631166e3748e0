import { expect, test } from 'vitest';
import { MAX_IN_FLIGHT, openChannel } from '#cache/workers/channel.ts';
import type { ToWorker } from '#cache/workers/messages.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const request = { method: 'GET', path: '/status', headers: {} };

function open() {
  const clock = fakeClock();
  const sent: ToWorker[] = [];
  const channel = openChannel((message) => sent.push(message), clock);
  return { clock, sent, channel };
}

test('an answer belongs to the request of the same id', async () => {
  const { channel, sent, clock } = open();
  const [a, b] = [channel.ask(request, 100), channel.ask({ ...request, path: '/top' }, 100)];
  channel.receive({ type: 'answer', id: sent[1]!.id, status: 200, headers: {}, body: 'second' });
  channel.receive({ type: 'answer', id: sent[0]!.id, status: 503, headers: {}, body: 'first' });
  expect((await a).body).toBe('first');
  expect((await b).body).toBe('second');
  expect(clock.pending()).toBe(0);
});

test('a request without an answer in time is rejected, and a late answer is ignored', async () => {
  const { channel, sent, clock } = open();
  const late = channel.ask(request, 100);
  const failure = late.catch((error: unknown) => error);
  await clock.advance(100);
  expect(await failure).toMatchObject({ message: 'the worker did not respond within 100 ms' });
  channel.receive({ type: 'answer', id: sent[0]!.id, status: 200, headers: {}, body: '' });
});

test('more than the limit are rejected until one is answered', async () => {
  const { channel, sent } = open();
  const many = Array.from({ length: MAX_IN_FLIGHT }, () => channel.ask(request, 100));
  await expect(channel.ask(request, 100)).rejects.toThrow(/64 requests/);
  channel.receive({ type: 'answer', id: sent[0]!.id, status: 200, headers: {}, body: '' });
  await many[0];
  const next = channel.ask(request, 100);
  expect(sent).toHaveLength(MAX_IN_FLIGHT + 1);
  const all = Promise.allSettled([...many, next]);
  channel.close();
  expect((await all).filter(({ status }) => status === 'rejected')).toHaveLength(MAX_IN_FLIGHT);
});

test('a closed channel rejects the requests in flight and every later one', async () => {
  const { channel, clock } = open();
  const asked = channel.ask(request, 100);
  channel.close();
  await expect(asked).rejects.toThrow('the worker has ended');
  await expect(channel.ask(request, 100)).rejects.toThrow('the worker has ended');
  expect(clock.pending()).toBe(0);
});

test('a request that cannot be sent is rejected with its cause', async () => {
  const cause = new Error('ERR_IPC_CHANNEL_CLOSED');
  const channel = openChannel(() => {
    throw cause;
  }, fakeClock());
  await expect(channel.ask(request, 100)).rejects.toMatchObject({ message: 'the worker has ended', cause });
});
