import { describe, expect, test } from 'vitest';
import { chunkAt } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { PeerAddress } from '#cache/engine/ports.ts';
import { evictMemory, expectNoStreams, expectNothingLeased, turns } from '#test/support/engine-checks.ts';
import {
  MIB,
  openEngines,
  patternBytes,
  peerSet,
  readAll,
  readRequest,
  whileTimePasses,
  type Replica,
} from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

/** For many readers on a busy machine. */
const LONG_MS = 60_000;

test('replicas whose views differ get 409 and fill locally, with correct bytes', async () => {
  const engines = openEngines({ replicas: 3, chunkBytes: MIB / 8 });
  const body = patternBytes((24 * MIB) / 8);
  engines.origin.put('far-models', 'a', body);
  const [a, b, c] = engines.replicas;
  // In each of these views, a replica that does not exist owns a part of the chunks.
  const nonexistent = '10.0.0.99:8444' as PeerAddress;
  b!.view = peerSet(b!.address, [b!.address, nonexistent]);
  c!.view = peerSet(c!.address, [c!.address, nonexistent]);
  const { bytes } = await readAll(a!.engine, readRequest('a'));
  expect(bytes.equals(body)).toBe(true);
  expect(Object.keys(a!.counts.fallThroughs).some((name) => name.endsWith('/not_coordinator'))).toBe(true);
  await expectNothingLeased(engines);
});

test('after "stored" and a 404 from the store, a second request makes the coordinator check the store and fill', async () => {
  const engines = openEngines({ replicas: 3, chunkBytes: MIB / 8 });
  const body = patternBytes((16 * MIB) / 8);
  const head = engines.origin.put('far-models', 'a', body);
  await readAll(engines.replicas[0]!.engine, readRequest('a'));
  await expectNothingLeased(engines);
  evictMemory(engines);
  for (const path of engines.store.paths()) engines.store.vanish(path);
  const { bytes } = await readAll(engines.replicas[1]!.engine, readRequest('a'));
  expect(bytes.equals(body)).toBe(true);
  expect(engines.origin.counts.bytes).toBe(2 * body.length);
  const object = { originId: 'test', bucket: 'far-models', key: 'a', etag: head.etag, sizeBytes: body.length };
  await expectNothingLeased(engines);
  expect(engines.store.paths()).toContain(chunkAt(object, MIB / 8, 0).path);
});

describe('three replicas and a cachestore that fails for one of them', () => {
  async function openStored() {
    const engines = openEngines({ replicas: 3, chunkBytes: MIB / 8 });
    const body = patternBytes(2 * MIB);
    engines.origin.put('far-models', 'a', body);
    await readAll(engines.replicas[0]!.engine, readRequest('a'));
    await expectNothingLeased(engines);
    evictMemory(engines);
    return { engines, body };
  }

  test('a corrupt chunk is repaired once, by its coordinator only, whichever replica detects it', async () => {
    const { engines, body } = await openStored();
    const path = engines.store.paths()[0]!;
    engines.store.flip(path, 1_000);
    const reads = engines.replicas.map(({ engine }) => readAll(engine, readRequest('a')));
    for (const { bytes } of await Promise.all(reads)) expect(bytes.equals(body)).toBe(true);
    await expectNothingLeased(engines);
    expect(engines.origin.counts.bytes).toBe(body.length + MIB / 8);
    expect(engines.store.counts.commits).toBe(17);
  });

  test('a chunk that is corrupt again right after its repair is served from memory and not written again', async () => {
    const { engines, body } = await openStored();
    const path = engines.store.paths()[0]!;
    for (let round = 0; round < 3; round++) {
      engines.store.flip(path, 1_000);
      for (const { engine } of engines.replicas) {
        const { bytes } = await readAll(engine, readRequest('a'));
        expect(bytes.equals(body)).toBe(true);
      }
      await expectNothingLeased(engines);
      evictMemory(engines);
    }
    expect(engines.store.counts.commits).toBe(17);
  });

  test('a replica that cannot read the cachestore gets the bytes from the coordinator, not from the origin', async () => {
    const { engines, body } = await openStored();
    const denied = new OrcaError('store_unavailable', 'denied to one', { status: 403 });
    const { engine, counts } = engines.replicas[1]!;
    const before = counts.originBytes;
    // All its reads fail; for chunks that it coordinates itself, only the origin is left.
    engines.replicas[1]!.storeError = denied;
    const { bytes } = await readAll(engine, readRequest('a'));
    expect(bytes.equals(body)).toBe(true);
    const own = counts.originBytes - before;
    expect(engines.origin.counts.bytes - body.length).toBe(own);
    expect(own).toBeLessThan(body.length);
  });
});

test('a draining replica serves only the chunks that it has in flight', async () => {
  const engines = openEngines({ replicas: 3, chunkBytes: MIB / 8, readahead: 0 });
  const body = patternBytes(2 * MIB);
  engines.origin.put('far-models', 'a', body);
  const [a, b, c] = engines.replicas;
  engines.store.commitGate.hold();
  await readAll(c!.engine, readRequest('a'));
  const before = engines.origin.counts.bytes;
  expect(before).toBe(body.length);
  const owners = [a!.address, b!.address];
  for (const replica of [a!, b!]) replica.view = { ...peerSet(replica.address, owners), terminating: [c!.address] };
  c!.view = { ...peerSet(c!.address, owners), terminating: [c!.address] };
  const { bytes } = await readAll(a!.engine, readRequest('a'));
  expect(bytes.equals(body)).toBe(true);
  expect(engines.origin.counts.bytes).toBe(before);
  engines.store.commitGate.release();
  await expectNothingLeased(engines);
});

describe('replicas whose views keep changing', () => {
  test('complete every read with correct bytes', { timeout: LONG_MS }, async () => {
    const clock = fakeClock();
    const engines = openEngines({ replicas: 2, chunkBytes: MIB / 16, clock });
    const [a, b] = engines.replicas as [Replica, Replica];
    const body = patternBytes(2 * MIB);
    const views = (replica: Replica, owner: PeerAddress) => ({
      ...peerSet(replica.address, [owner]),
      self: replica.address,
    });
    for (let i = 0; i < 4; i++) engines.origin.put('far-models', `o${i}`, body);
    let isOver = false;
    // While they read, each alternates between the other replica and itself as owner, sometimes in agreement.
    const changing = (async () => {
      for (let turn = 0; !isOver; turn++) {
        a.view = views(a, turn % 2 === 0 ? b.address : a.address);
        b.view = views(b, turn % 3 === 0 ? a.address : b.address);
        await turns(1);
      }
    })();
    const reads = [a, b].flatMap(({ engine }) =>
      Array.from({ length: 12 }, (_, i) => readAll(engine, readRequest(`o${i % 4}`))),
    );
    for (const { bytes } of await whileTimePasses(clock, Promise.all(reads))) expect(bytes.equals(body)).toBe(true);
    isOver = true;
    await changing;
    await expectNoStreams(engines);
  });

  test('fill locally when each requests the same chunk from the other', async () => {
    const clock = fakeClock();
    const engines = openEngines({ replicas: 2, chunkBytes: MIB, clock });
    const [a, b] = engines.replicas as [Replica, Replica];
    a.view = { ...peerSet(a.address, [b.address]), self: a.address };
    b.view = { ...peerSet(b.address, [a.address]), self: b.address };
    const body = patternBytes(4 * MIB);
    engines.origin.put('far-models', 'a', body);
    const reads = [a, b, a, b].map(({ engine }) => readAll(engine, readRequest('a')));
    for (const { bytes } of await whileTimePasses(clock, Promise.all(reads))) expect(bytes.equals(body)).toBe(true);
    expect(engines.origin.counts.bytes).toBeLessThanOrEqual(2 * body.length);
    await expectNoStreams(engines);
  });
});
