import { describe, expect, test } from 'vitest';
import { peerAddress } from '#cache/core/peer-set.ts';
import { PeerMonitor } from '#cache/peers/heartbeat/monitor.ts';
import type { Silence } from '#cache/peers/heartbeat/peer-watch.ts';
import type { PingEvents, Pinger } from '#cache/peers/heartbeat/pinger.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const LIMITS = { deadAfterMs: 3_000, starvedAfterMs: 10_000 };
/** The main loop of a peer that is not late. */
const PUNCTUAL_MS = 40;
const PEER = peerAddress('10.0.0.2', 8444);

/** A peer whose answers a test decides: `respond` is called for each ping. */
function watched(respond: (events: PingEvents) => void = () => {}) {
  const clock = fakeClock();
  const pings: number[] = [];
  const peer = { respond, knock: 'accepted' as 'accepted' | 'refused' | 'unknown', isOpen: false };
  const pinger: Pinger = {
    open: (_address, events) => {
      peer.isOpen = true;
      return {
        ping() {
          pings.push(clock.now());
          peer.respond(events);
        },
        close: () => (peer.isOpen = false),
      };
    },
    knock: async () => peer.knock,
  };
  const monitor = new PeerMonitor({ pinger, clock, limits: LIMITS });
  const watch = monitor.open(PEER);
  const begin = () => {
    const startMs = clock.now();
    const silences: (Silence & { readonly afterMs: number })[] = [];
    const call = watch.begin((silence) => silences.push({ ...silence, afterMs: clock.now() - startMs }));
    return { ...call, silences };
  };
  return { clock, pings, peer, monitor, watch, begin };
}

const answers =
  (mainAgeMs: number) =>
  ({ onAnswer }: PingEvents): void =>
    onAnswer(mainAgeMs);
const nothing = (): void => {};

/** A peer that has answered a ping once. */
function proven() {
  const world = watched(answers(PUNCTUAL_MS));
  world.begin().ended();
  world.pings.length = 0;
  return world;
}

describe('a peer that answers heartbeats', () => {
  test('is not pinged while its calls are answered', async () => {
    const { clock, pings, begin } = proven();
    const call = begin();
    for (let second = 0; second < 20; second++) {
      await clock.advance(250);
      call.alive();
    }
    call.ended();
    await clock.advance(1000);
    expect(pings).toEqual([]);
    expect(call.silences).toEqual([]);
  });

  test('and then answers neither calls nor heartbeats is frozen, within 1.2 s', async () => {
    const { clock, peer, begin } = proven();
    peer.respond = nothing;
    const calls = [begin(), begin()];
    await clock.advance(1_050);
    const late = begin();
    await clock.advance(200);
    for (const { silences } of calls) {
      expect(silences).toMatchObject([{ reason: 'frozen' }]);
      expect(silences[0]?.afterMs).toBeLessThanOrEqual(1_200);
    }
    // The verdict is about the peer.
    expect(late.silences).toMatchObject([{ reason: 'frozen' }]);
  });

  test('is waited for while its main loop is late, up to 10 s', async () => {
    const { clock, peer, begin } = proven();
    peer.respond = answers(700);
    const call = begin();
    await clock.advance(9_900);
    expect(call.silences).toEqual([]);
    await clock.advance(300);
    expect(call.silences).toMatchObject([{ reason: 'starved' }]);
  });

  test('and whose main loop turns has the limit of silence', async () => {
    const { clock, begin } = proven();
    const call = begin();
    await clock.advance(2_900);
    expect(call.silences).toEqual([]);
    await clock.advance(300);
    expect(call.silences).toMatchObject([{ reason: 'silence' }]);
  });

  test('is alive if it answers any of its calls, whatever its thread does', async () => {
    const { clock, peer, begin } = proven();
    peer.respond = nothing;
    const [answered, silent] = [begin(), begin()];
    for (let turn = 0; turn < 5; turn++) {
      await clock.advance(500);
      answered.alive();
    }
    expect(silent.silences).toEqual([]);
    await clock.advance(700);
    expect(silent.silences).toMatchObject([{ reason: 'silence' }]);
    expect(answered.silences).toEqual([]);
  });

  test('may lose three pings in a row', async () => {
    const { clock, pings, peer, begin } = proven();
    peer.respond = (events) => {
      if (pings.length % 4 === 0) events.onAnswer(PUNCTUAL_MS);
    };
    const call = begin();
    await clock.advance(2_900);
    expect(call.silences).toEqual([]);
  });

  test('is judged by new pings, not by one that an earlier call left without an answer', async () => {
    const { clock, peer, begin } = proven();
    peer.respond = nothing;
    const first = begin();
    await clock.advance(450);
    first.ended();
    await clock.advance(60_000);
    peer.respond = answers(PUNCTUAL_MS);
    const second = begin();
    await clock.advance(2_000);
    expect(second.silences).toEqual([]);
  });
});

describe('a peer whose pings are refused', () => {
  test('is given up at once if it refuses connections too', async () => {
    const { clock, peer, begin } = proven();
    peer.respond = ({ onRefused }) => onRefused();
    peer.knock = 'refused';
    const call = begin();
    await clock.advance(400);
    expect(call.silences).toMatchObject([{ reason: 'refused' }]);
  });

  test('has the limit of silence if it accepts connections: its thread has ended', async () => {
    const { clock, pings, peer, begin } = proven();
    peer.respond = ({ onRefused }) => onRefused();
    const call = begin();
    await clock.advance(2_900);
    expect(call.silences).toEqual([]);
    expect(pings).toHaveLength(1);
    await clock.advance(300);
    expect(call.silences).toMatchObject([{ reason: 'silence' }]);
  });
});

describe('a peer that never answered a heartbeat', () => {
  test('is pinged when it is first used, and has the limit of silence', async () => {
    const { clock, pings, begin } = watched();
    const call = begin();
    expect(pings).toHaveLength(1);
    await clock.advance(2_900);
    expect(call.silences).toEqual([]);
    await clock.advance(300);
    expect(call.silences).toMatchObject([{ reason: 'silence' }]);
  });

  test('is pinged again at most every second', async () => {
    const { clock, pings, begin } = watched();
    for (let call = 0; call < 100; call++) {
      begin().ended();
      await clock.advance(100);
    }
    expect(pings).toHaveLength(10);
  });

  test('is not given up for refused pings', async () => {
    const { clock, peer, begin } = watched(({ onRefused }) => onRefused());
    peer.knock = 'refused';
    const call = begin();
    await clock.advance(2_900);
    expect(call.silences).toEqual([]);
  });
});

test('pings that this process cannot send mean nothing', async () => {
  const { clock, peer, begin } = proven();
  peer.respond = ({ onUnsent }) => onUnsent();
  const call = begin();
  await clock.advance(2_900);
  expect(call.silences).toEqual([]);
});

test('a frozen peer is back with its next answer', async () => {
  const { clock, peer, watch, begin } = proven();
  expect(watch.isBack()).toBe(true);
  peer.respond = nothing;
  begin();
  await clock.advance(1_500);
  expect(watch.isBack()).toBe(false);
  peer.respond = answers(PUNCTUAL_MS);
  await clock.advance(200);
  // This asks it.
  watch.isBack();
  expect(watch.isBack()).toBe(true);
});

test('time in which this process did not run does not count', async () => {
  const { clock, peer, begin } = proven();
  peer.respond = nothing;
  const call = begin();
  await clock.advance(350);
  // One timer that fires a minute late.
  clock.stall(60_000);
  await clock.advance(500);
  expect(call.silences).toEqual([]);
  await clock.advance(600);
  expect(call.silences).toMatchObject([{ reason: 'frozen' }]);
});

test('data that arrived while this process did not run is read before a verdict', async () => {
  const { clock, peer, begin } = proven();
  let heard: PingEvents | undefined;
  peer.respond = (events) => (heard = events);
  const call = begin();
  await clock.advance(1_000);
  // Right after the tick at which the verdict is due.
  clock.after(100, () => heard?.onAnswer(PUNCTUAL_MS));
  await clock.advance(300);
  expect(call.silences).toEqual([]);
});

test('no timer runs while no call waits', async () => {
  const { clock, begin, monitor, watch, peer } = proven();
  const call = begin();
  await clock.advance(1_000);
  call.ended();
  await clock.advance(1_000);
  expect(clock.pending()).toBe(0);
  watch.close();
  monitor.close();
  expect(peer.isOpen).toBe(false);
});
