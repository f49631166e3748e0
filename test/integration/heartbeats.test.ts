/** The client of a peer that is a real process: frozen, ended, starved, or without its liveness thread. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { chunkAt } from '#cache/core/chunk.ts';
import { peerAddress } from '#cache/core/peer-set.ts';
import type { FillRequest, PeerAddress, PeerClient } from '#cache/engine/ports.ts';
import { openFillClient } from '#cache/peers/fill-client.ts';
import { openUdpPinger } from '#cache/peers/heartbeat/pinger.ts';
import { systemClock } from '#shared/clock.ts';
import { collectSink } from '#test/support/collect-sink.ts';
import type { PeerOrder } from '#test/support/liveness-peer.ts';

const OBJECT = { originId: 'o', bucket: 'b', key: 'k', etag: 'e', sizeBytes: 100 };
const REQUEST: FillRequest = {
  chunk: chunkAt(OBJECT, 8 * 1024 * 1024, 0),
  range: { from: 0, to: 1 },
  rank: 1,
  epoch: '0123456789abcdef',
  demand: 'new',
  deadlineMs: 20_000,
  reason: 'commit',
};

interface Peer {
  readonly address: PeerAddress;
  readonly process: ChildProcess;
  order(order: PeerOrder): Promise<void>;
}

async function startPeer(): Promise<Peer> {
  const child = fork(join(import.meta.dirname, '../support/liveness-peer.ts'));
  onTestFinished(() => void child.kill('SIGKILL'));
  const [port] = (await once(child, 'message')) as [number];
  return {
    address: peerAddress('127.0.0.1', port),
    process: child,
    async order(order) {
      child.send(order);
      await once(child, 'message');
    },
  };
}

function openClient(pinger = openUdpPinger(() => undefined)): PeerClient {
  const client = openFillClient({ keys: () => undefined, clock: systemClock, pinger });
  onTestFinished(() => client.close());
  return client;
}

const call = (client: PeerClient, { address }: Peer) =>
  client.fill(address, REQUEST, collectSink(), { signal: AbortSignal.timeout(60_000) });

/** A client that the peer has answered, calls and heartbeats. */
async function provenClient(peer: Peer): Promise<PeerClient> {
  const client = openClient();
  await peer.order({ blockMs: 1000 });
  expect(await call(client, peer)).toEqual({ kind: 'none' });
  return client;
}

describe('a peer', () => {
  test('that is frozen is given up, skipped, and used again once it answers heartbeats', async () => {
    const peer = await startPeer();
    const client = await provenClient(peer);
    await peer.order({});
    peer.process.kill('SIGSTOP');
    await expect(call(client, peer)).rejects.toMatchObject({ code: 'peer_unavailable', details: 'frozen' });
    await expect(call(client, peer)).rejects.toMatchObject({ code: 'peer_unavailable', details: 'skipped' });
    peer.process.kill('SIGCONT');
    await expect.poll(() => call(client, peer).catch(() => undefined), { timeout: 10_000 }).toEqual({ kind: 'none' });
  });

  test('whose main loop is late for longer than the limit of silence is waited for', async () => {
    const peer = await startPeer();
    const client = await provenClient(peer);
    await peer.order({ blockMs: 5_000 });
    expect(await call(client, peer)).toEqual({ kind: 'none' });
  });

  test('that answers heartbeats, but no calls, is given up after the limit of silence', async () => {
    const peer = await startPeer();
    const client = await provenClient(peer);
    await peer.order({ mute: true });
    // On a busy machine, its main loop is late too.
    await expect(call(client, peer)).rejects.toMatchObject({
      code: 'peer_unavailable',
      details: expect.stringMatching(/^(?:silence|starved)$/) as string,
    });
  });

  test('without its liveness thread is judged by its calls', async () => {
    const peer = await startPeer();
    const client = await provenClient(peer);
    await peer.order({ endThread: true, blockMs: 2_000 });
    expect(await call(client, peer)).toEqual({ kind: 'none' });
    await peer.order({ mute: true });
    await expect(call(client, peer)).rejects.toMatchObject({ code: 'peer_unavailable', details: 'silence' });
  });

  test('that never answered a heartbeat keeps the limit of silence', async () => {
    const peer = await startPeer();
    const unanswered = { open: () => ({ ping() {}, close() {} }), knock: async () => 'unknown' as const };
    const client = openClient(unanswered);
    await peer.order({ blockMs: 2_000 });
    expect(await call(client, peer)).toEqual({ kind: 'none' });
    peer.process.kill('SIGSTOP');
    await expect(call(client, peer)).rejects.toMatchObject({ code: 'peer_unavailable', details: 'silence' });
  });

  test('whose heartbeats are lost from some time on counts as frozen only if a call is silent too', async () => {
    const peer = await startPeer();
    const real = openUdpPinger(() => undefined);
    let isLost = false;
    const client = openClient({
      knock: (address) => real.knock(address),
      open(address, events) {
        const line = real.open(address, events);
        return { ping: () => void (isLost || line.ping()), close: () => line.close() };
      },
    });
    await peer.order({ blockMs: 1000 });
    expect(await call(client, peer)).toEqual({ kind: 'none' });
    isLost = true;
    await peer.order({ blockMs: 200 });
    expect(await call(client, peer)).toEqual({ kind: 'none' });
    await peer.order({ blockMs: 2_500 });
    await expect(call(client, peer)).rejects.toMatchObject({ code: 'peer_unavailable', details: 'frozen' });
    isLost = false;
    await peer.order({});
    await expect.poll(() => call(client, peer).catch(() => undefined), { timeout: 10_000 }).toEqual({ kind: 'none' });
  });
});
