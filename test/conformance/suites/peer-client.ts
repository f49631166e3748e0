/** The contract of every PeerClient, in memory or over the network, against the real engine of another replica. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { BucketNames } from '#cache/core/capacity/bucket-names.ts';
import { Histogram } from '#cache/core/capacity/histogram.ts';
import { RecordRows } from '#cache/core/capacity/records.ts';
import { encodeReport, MAX_REPORT_BYTES, type ReadsReport } from '#cache/core/capacity/report-codec.ts';
import type { UsageAnswer, UsageReport } from '#cache/core/capacity/usage-codec.ts';
import { chunkAt, type Chunk } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import type {
  CallOptions,
  FillAnswer,
  FillRequest,
  PeerAddress,
  PeerClient,
  WarmRequest,
  WarmResult,
} from '#cache/engine/ports.ts';
import { metadataFor } from '#test/support/chunks.ts';
import { collectSink, type CollectSink } from '#test/support/collect-sink.ts';
import { MIB, openEngines, patternBytes, peerSet, type Engines, type Replica } from '#test/support/engines.ts';

export interface PeerClientFixture {
  /** Calls `peer` on behalf of another replica. */
  readonly client: PeerClient;
  readonly peer: PeerAddress;
  /** A client with a key that `peer` does not know; absent without authentication between peers. */
  readonly stranger?: PeerClient;
  /** Makes `peer` unreachable. */
  readonly kill: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Deadlines in real time: short if a test waits for one, otherwise longer than a busy machine needs. */
const SHORT_MS = 150;
const LONG_MS = 20_000;
/** The name of the only bucket at the origin. */
const BUCKET = 'far-models';
const KEY = 'a b/(ä)+%';
/** Two whole chunks and a short one. */
const BODY = patternBytes(2.5 * MIB);

const REPORT: ReadsReport = {
  originId: 'test',
  epoch: '0123456789abcdef',
  buckets: new BucketNames(),
  reads: new RecordRows(),
  commits: [],
  superseded: [{ hex: 'ab'.repeat(32), sinceMs: 1 }],
};
const USAGE: Omit<UsageReport, 'epoch'> = {
  originId: 'test',
  covered: [],
  bytes: 0,
  chunks: 0,
  pinnedBytes: 0,
  evictable: new Histogram(),
  byBucket: new Map(),
  isFull: false,
  lastSweepMs: undefined,
  oldestSweepMs: undefined,
  evictedBytes: { capacity: 0, idle: 0, superseded: 0, full: 0 },
};

/** The only message of the report. */
function messageOf(report: Partial<ReadsReport> = {}): Uint8Array {
  const [message] = encodeReport({ ...REPORT, ...report });
  if (message === undefined) throw new RangeError('an empty report has no message');
  return message;
}

type FillOptions = Parameters<PeerClient['fill']>[3];

/** `open` connects a client to the second replica of `engines`, which coordinates all chunks. */
export function peerClientSuite(
  name: string,
  open: (engines: Engines) => Promise<PeerClientFixture>,
  { hasKeys }: { readonly hasKeys: boolean },
): void {
  async function opened() {
    const engines = openEngines({ replicas: 2 });
    const [asking, replica] = engines.replicas as readonly [Replica, Replica];
    replica.view = peerSet(replica.address, [replica.address]);
    const fixture = await open(engines);
    onTestFinished(() => fixture.close());
    const { etag } = engines.origin.put(BUCKET, KEY, BODY);
    const object = { originId: 'test', bucket: BUCKET, key: KEY };
    const chunkOf = (index: number, version: string = etag): Chunk =>
      chunkAt({ ...object, etag: version, sizeBytes: BODY.length }, MIB, index);
    const fill = (
      request: Partial<FillRequest> = {},
      options: Partial<FillOptions> = {},
      sink: CollectSink = collectSink(),
      client: PeerClient = fixture.client,
    ): Promise<FillAnswer> => {
      const chunk = request.chunk ?? chunkOf(0);
      const range = { from: 0, to: chunk.lengthBytes };
      const terms = { rank: 1, epoch: replica.view.epoch, demand: 'new', deadlineMs: LONG_MS, reason: 'miss' } as const;
      return client.fill(fixture.peer, { chunk, range, ...terms, ...request }, sink, { signal: signal(), ...options });
    };
    const head = (maxAgeMs = 60_000, key = KEY, client: PeerClient = fixture.client) =>
      client.head(fixture.peer, { object: { ...object, key }, maxAgeMs }, { signal: signal() });
    const invalidate = (version: string, client: PeerClient = fixture.client): Promise<void> =>
      client.invalidate(fixture.peer, { object, etag: version }, { signal: signal() });
    const reads = (report: Partial<ReadsReport> = {}, client: PeerClient = fixture.client): Promise<void> =>
      client.reads(fixture.peer, messageOf(report), { signal: signal() });
    const usage = (report: Partial<UsageReport> = {}, client: PeerClient = fixture.client): Promise<UsageAnswer> =>
      client.usage(fixture.peer, { ...USAGE, epoch: replica.view.epoch, ...report }, { signal: signal() });
    const warm = (
      request: Partial<WarmRequest> = {},
      options: Partial<CallOptions> = {},
      client: PeerClient = fixture.client,
    ): Promise<WarmResult> => {
      const terms = { chunk: chunkOf(0), rank: 1, epoch: replica.view.epoch, knownAbsent: true } as const;
      return client.warm(fixture.peer, { ...terms, ...request }, { signal: signal(), ...options });
    };
    const calls = [fill, head, () => invalidate(etag), reads, usage, warm];
    return {
      ...fixture,
      ...engines,
      asking,
      replica,
      object,
      etag,
      chunkOf,
      fill,
      head,
      invalidate,
      reads,
      usage,
      warm,
      calls,
    };
  }

  describe(`${name} as a peer client: fill`, () => {
    test.for([
      ['a whole chunk', 1, 0, MIB],
      ['one byte', 0, 12_345, 12_346],
      ['the end of a chunk', 0, MIB - 1000, MIB],
      ['a range across blocks', 1, 60_000, 700_001],
      ['the short last chunk', 2, 0, MIB / 2],
    ] as const)('puts the bytes of %s into the sink', async ([, index, from, to]) => {
      const { fill, chunkOf } = await opened();
      const sink = collectSink();
      expect(await fill({ chunk: chunkOf(index), range: { from, to } }, {}, sink)).toEqual({ kind: 'bytes' });
      expect(sink.bytes().equals(BODY.subarray(index * MIB + from, index * MIB + to))).toBe(true);
    });

    test('reports the source once, before the first byte', async () => {
      const { fill } = await opened();
      const seen: [string, number][] = [];
      const sink = collectSink();
      await fill({}, { onSource: (source) => seen.push([source, sink.lengthBytes]) }, sink);
      expect(seen).toEqual([['flight', 0]]);
    });

    test('waits for room in the sink, however small', async () => {
      const { fill } = await opened();
      for (const options of [
        { windowBytes: 4099, pauseAfterWindow: true },
        { windowBytes: 100_003, pauseAfterWindow: true },
      ]) {
        const sink = collectSink(options);
        await fill({ range: { from: 0, to: 300_000 } }, {}, sink);
        expect(sink.bytes().equals(BODY.subarray(0, 300_000))).toBe(true);
      }
      const paused = collectSink({ pauseAtBytes: 100_000 });
      const call = fill({}, {}, paused);
      await paused.has(100_000);
      await new Promise((resolve) => setImmediate(resolve));
      expect(paused.lengthBytes).toBeLessThan(MIB);
      paused.resume();
      expect(await call).toEqual({ kind: 'bytes' });
      expect(paused.bytes().equals(BODY.subarray(0, MIB))).toBe(true);
    });

    test('resolves with stored for a chunk in the cachestore', async () => {
      const { fill, chunkOf, store, origin } = await opened();
      const body = BODY.subarray(0, MIB);
      store.plant(chunkOf(0), body, metadataFor(chunkOf(0), body));
      const sink = collectSink();
      expect(await fill({}, {}, sink)).toEqual({ kind: 'stored' });
      expect([sink.lengthBytes, origin.counts.reads]).toEqual([0, 0]);
    });

    test('resolves with none if it only joins and no fill is in progress', async () => {
      const { fill, origin } = await opened();
      expect(await fill({ reason: 'join' })).toEqual({ kind: 'none' });
      expect(origin.counts.reads).toBe(0);
    });

    test('resolves with not_coordinator and the view of the peer', async () => {
      const { fill, replica, asking } = await opened();
      replica.view = peerSet(replica.address, [asking.address]);
      const { epoch } = replica.view;
      expect(await fill()).toEqual({ kind: 'not_coordinator', owner: asking.address, epoch });
    });

    test.for(['origin_denied', 'origin_missing_etag', 'object_archived', 'bucket_not_found'] as const)(
      'rejects with %s as the peer saw it',
      async (code) => {
        const { fill, origin } = await opened();
        origin.inject({ on: 'read', what: new OrcaError(code, 'from the origin') });
        await expect(fill()).rejects.toMatchObject({ code, message: expect.stringContaining('from the origin') });
      },
    );

    test('rejects with object_changed for another version', async () => {
      const { fill, chunkOf } = await opened();
      await expect(fill({ chunk: chunkOf(0, 'other') })).rejects.toMatchObject({ code: 'object_changed' });
    });

    test('rejects with peer_unavailable for an error of the peer itself, without its details', async () => {
      const { fill, origin } = await opened();
      origin.inject({ on: 'read', what: new OrcaError('internal', 'a secret') });
      const error = await errorOf(fill());
      expect(error).toMatchObject({ code: 'peer_unavailable' });
      expect(String(error)).not.toContain('secret');
    });

    test('keeps the valid bytes of a body that is cut', async () => {
      const { fill, origin } = await opened();
      origin.inject({ on: 'read', afterBytes: MIB / 2, what: new OrcaError('origin_denied', 'in the middle') });
      const sink = collectSink();
      await expect(fill({}, {}, sink)).rejects.toMatchObject({ code: 'peer_unavailable' });
      expect(sink.lengthBytes).toBeLessThan(MIB);
      expect(sink.bytes().equals(BODY.subarray(0, sink.lengthBytes))).toBe(true);
    });
  });

  describe(`${name} as a peer client: time`, () => {
    test('a call that has no first byte in time is peer_unavailable', async () => {
      const { fill, origin } = await opened();
      origin.readGate.hold();
      await expect(fill({}, { firstByteTimeoutMs: SHORT_MS })).rejects.toMatchObject({ code: 'peer_unavailable' });
    });

    test('a peer that exceeds the requested deadline answers origin_unavailable', async () => {
      const { fill, origin } = await opened();
      origin.readGate.hold();
      const call = fill({ deadlineMs: SHORT_MS }, { firstByteTimeoutMs: LONG_MS });
      await expect(call).rejects.toMatchObject({ code: 'origin_unavailable' });
    });

    test('a body without progress is peer_unavailable, and its valid bytes are kept', async () => {
      const { fill, origin } = await opened();
      origin.inject({ on: 'read', afterBytes: MIB / 2, what: 'stall' });
      const sink = collectSink();
      const call = fill({}, { stallTimeoutMs: 4 * SHORT_MS }, sink);
      await expect(call).rejects.toMatchObject({ code: 'peer_unavailable', details: 'stall' });
      expect(sink.lengthBytes).toBeGreaterThan(0);
      expect(sink.bytes().equals(BODY.subarray(0, sink.lengthBytes))).toBe(true);
    });
  });

  describe(`${name} as a peer client: abort`, () => {
    test('a call that is aborted already does not reach the peer', async () => {
      const { fill, origin } = await opened();
      await expect(fill({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
      expect(origin.counts.reads).toBe(0);
    });

    test('rejects with the reason of the signal; the fill of the peer continues, and serves the next call', async () => {
      const { fill, origin } = await opened();
      origin.readGate.hold();
      const aborter = new AbortController();
      const call = fill({}, { signal: aborter.signal });
      const failed = errorOf(call);
      await origin.readGate.reached();
      const reason = new OrcaError('overloaded', 'no longer needed');
      aborter.abort(reason);
      expect(await failed).toBe(reason);
      const next = fill();
      origin.readGate.release();
      expect(await next).toMatchObject({ kind: 'bytes' });
      expect(origin.counts.reads).toBe(1);
    });

    test('in the middle of a body leaves the sink alone afterwards', async () => {
      const { fill } = await opened();
      const sink = collectSink({ pauseAtBytes: 10_000 });
      const aborter = new AbortController();
      const call = fill({}, { signal: aborter.signal }, sink);
      const failed = errorOf(call);
      await sink.has(10_000);
      aborter.abort();
      expect(await failed).toMatchObject({ code: 'cancelled' });
      const before = sink.lengthBytes;
      sink.resume();
      await new Promise((resolve) => setImmediate(resolve));
      expect(sink.lengthBytes).toBe(before);
    });
  });

  describe(`${name} as a peer client: metadata`, () => {
    test('a head is requested once, and has its age', async () => {
      const { head, origin, etag } = await opened();
      const first = await head();
      expect(first.head).toMatchObject({ etag, sizeBytes: BODY.length });
      const second = await head();
      expect(second.head).toEqual(first.head);
      expect(second.ageMs).toBeGreaterThanOrEqual(first.ageMs);
      expect(origin.counts.heads).toBe(1);
    });

    test('a negative entry is cached, and has its age', async () => {
      const { head, origin } = await opened();
      await expect(head(60_000, 'absent')).rejects.toMatchObject({ code: 'not_found' });
      const error = await errorOf(head(60_000, 'absent'));
      expect(error).toMatchObject({ code: 'not_found', ageMs: expect.any(Number) });
      expect(origin.counts.heads).toBe(1);
    });

    test('an invalidated version is requested again; other versions are kept', async () => {
      const { head, invalidate, origin, etag } = await opened();
      await head();
      await invalidate('other');
      await head();
      expect(origin.counts.heads).toBe(1);
      await invalidate(etag);
      origin.put(BUCKET, KEY, 'new');
      expect((await head()).head.sizeBytes).toBe(3);
    });
  });

  describe(`${name} as a peer client: warm`, () => {
    test('resolves when the chunk is committed, with the bytes that the origin has sent for it', async () => {
      const { warm, store, origin, chunkOf } = await opened();
      store.commitGate.hold();
      const warming = warm();
      await store.commitGate.reached();
      expect(store.paths()).toEqual([]);
      store.commitGate.release();
      expect(await warming).toEqual({ originBytes: MIB });
      expect(store.paths()).toEqual([chunkOf(0).path]);
      expect(await warm()).toEqual({ originBytes: 0 });
      expect(origin.counts.reads).toBe(1);
    });

    test('a chunk that is stored is not fetched, whatever the caller knows', async () => {
      const { warm, store, origin, chunkOf } = await opened();
      const chunk = chunkOf(2);
      const bytes = BODY.subarray(2 * MIB);
      store.plant(chunk, bytes, metadataFor(chunk, bytes));
      expect(await warm({ chunk, knownAbsent: false })).toEqual({ originBytes: 0 });
      expect([origin.counts.reads, store.counts.has]).toEqual([0, 1]);
    });

    test('a caller that has just looked saves the peer the look', async () => {
      const { warm, store } = await opened();
      await warm({ knownAbsent: true });
      expect(store.counts.has).toBe(0);
    });

    test.for(['object_archived', 'not_found', 'access_denied', 'origin_throttled', 'origin_denied'] as const)(
      'rejects with %s of the origin',
      async (code) => {
        const { warm, origin } = await opened();
        origin.inject({ on: 'read', what: new OrcaError(code, 'at the origin', { retryAfterMs: 2_000 }), times: 9 });
        await expect(warm()).rejects.toMatchObject({ code });
      },
    );

    test('rejects with object_changed for another version', async () => {
      const { warm, chunkOf } = await opened();
      await expect(warm({ chunk: chunkOf(0, 'other') })).rejects.toMatchObject({ code: 'object_changed' });
    });

    test('rejects with store_unavailable where the chunk was not committed', async () => {
      const { warm, store } = await opened();
      store.inject({ on: 'commit', error: new OrcaError('store_unavailable', 'denied', { status: 403 }) });
      await expect(warm()).rejects.toMatchObject({ code: 'store_unavailable' });
    });

    test('rejects with not_coordinator where the views differ, unless it is sent to the runner-up', async () => {
      const { warm, replica, asking, chunkOf, origin } = await opened();
      const both = [asking.address, replica.address];
      replica.view = peerSet(replica.address, both);
      const theirs = [0, 1, 2].map((index) => chunkOf(index)).find(({ path }) => rankPeers(path, both)[0] === both[0]);
      // The ETag decides the ranks: with this one, the other replica coordinates one of three chunks.
      const chunk = theirs ?? chunkOf(0);
      if (theirs === undefined) replica.view = peerSet(replica.address, [asking.address]);
      await expect(warm({ chunk })).rejects.toMatchObject({ code: 'not_coordinator' });
      expect(origin.counts.reads).toBe(0);
      replica.view = peerSet(replica.address, both);
      expect(await warm({ chunk, rank: 2 })).toEqual({ originBytes: chunk.lengthBytes });
    });

    test('a call that is aborted rejects with the reason of its signal', async () => {
      const { warm, origin } = await opened();
      origin.readGate.hold();
      const aborter = new AbortController();
      const failed = errorOf(warm({}, { signal: aborter.signal }));
      await origin.readGate.reached();
      const reason = new OrcaError('cancelled', 'suspended');
      aborter.abort(reason);
      expect(await failed).toBe(reason);
      origin.readGate.release();
    });

    test('a call that is aborted already does not reach the peer', async () => {
      const { warm, origin } = await opened();
      await expect(warm({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
      expect(origin.counts.reads).toBe(0);
    });
  });

  describe(`${name} as a peer client: reports`, () => {
    test('a report of reads arrives as it was sent, however large a message', async () => {
      const { client, peer, replica } = await opened();
      const received = vi.spyOn(replica.engine.capacity, 'receiveReads');
      const reads = new RecordRows();
      for (let row = 0; row < 100_000; row++) reads.push(row, ~row >>> 0, 1 + (row % 1000), 0);
      const messages = encodeReport({ ...REPORT, reads });
      for (const message of messages) await client.reads(peer, message, { signal: signal() });
      expect(messages.length).toBeGreaterThan(1);
      expect(received.mock.calls.map(([message]) => Buffer.from(message))).toEqual(messages.map((m) => Buffer.from(m)));
    });

    test('a report of usage is answered with the account of the cachestore', async () => {
      const { usage, replica } = await opened();
      const received = vi.spyOn(replica.engine.capacity, 'receiveUsage');
      const byBucket = new Map([
        ['far-models', 700],
        ['ä', 300],
      ]);
      const answer = await usage({ covered: [0, 255], bytes: 1000, chunks: 2, byBucket });
      expect(received.mock.calls[0]?.[0]).toMatchObject({ covered: [0, 255], bytes: 1000, chunks: 2, byBucket });
      expect(answer).toEqual(received.mock.results[0]?.value);
    });

    test('a usage report and an answer as large as they may be arrive whole', async () => {
      const { usage, replica } = await opened();
      const bucket = (index: number): [string, number] => [`bucket-${index}-`.padEnd(63, 'x'), 2 ** 40 + index];
      const byBucket = new Map(Array.from({ length: 1000 }, (_, index) => bucket(index)));
      vi.spyOn(replica.engine.capacity, 'receiveUsage').mockImplementation((report) => ({
        account: { ...replica.engine.capacity.account(), byBucket: report.byBucket },
        urgent: false,
      }));
      const { account } = await usage({ byBucket });
      expect(account.byBucket.size).toBeGreaterThan(100);
      expect([...account.byBucket.values()].reduce((sum, bytes) => sum + bytes, 0)).toBe(
        [...byBucket.values()].reduce((sum, bytes) => sum + bytes, 0),
      );
    });

    test('a report of another origin is peer_unavailable, and the peer keeps working', async () => {
      const { reads, usage } = await opened();
      await expect(reads({ originId: 'other' })).rejects.toMatchObject({ code: 'peer_unavailable' });
      await expect(usage({ originId: 'other' })).rejects.toMatchObject({ code: 'peer_unavailable' });
      await expect(reads()).resolves.toBeUndefined();
      await expect(usage()).resolves.toMatchObject({ urgent: expect.any(Boolean) });
    });

    test('bytes that are not a report are peer_unavailable', async () => {
      const { client, peer } = await opened();
      for (const bytes of [new Uint8Array(0), Buffer.from('{}'), Buffer.alloc(MAX_REPORT_BYTES)])
        await expect(client.reads(peer, bytes, { signal: signal() })).rejects.toMatchObject({
          code: 'peer_unavailable',
        });
    });

    test('a report that is aborted already does not reach the peer', async () => {
      const { client, peer, replica } = await opened();
      const received = vi.spyOn(replica.engine.capacity, 'receiveReads');
      const call = client.reads(peer, messageOf(), { signal: AbortSignal.abort() });
      await expect(call).rejects.toMatchObject({ code: 'cancelled' });
      expect(received).not.toHaveBeenCalled();
    });
  });

  describe(`${name} as a peer client: failures`, () => {
    test('a dead peer is peer_unavailable for every call', async () => {
      const { calls, kill } = await opened();
      await kill();
      for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'peer_unavailable' });
    });

    test('a peer that dies in the middle of a body is peer_unavailable, and its valid bytes are kept', async () => {
      const { fill, kill, origin, object } = await opened();
      // More than the kernel buffers of both sides.
      const body = patternBytes(16 * MIB);
      const { etag } = origin.put(BUCKET, KEY, body);
      const chunk = chunkAt({ ...object, etag, sizeBytes: body.length }, body.length, 0);
      const sink = collectSink({ pauseAtBytes: 100_000 });
      const call = fill({ chunk }, {}, sink);
      const failed = errorOf(call);
      await sink.has(100_000);
      await kill();
      sink.resume();
      expect(await failed).toMatchObject({ code: 'peer_unavailable' });
      expect(sink.bytes().equals(body.subarray(0, sink.lengthBytes))).toBe(true);
    });

    test('a closed client is peer_unavailable for every call', async () => {
      const { client, calls, origin } = await opened();
      await client.close();
      await client.close();
      for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'peer_unavailable' });
      expect(origin.counts.reads + origin.counts.heads).toBe(0);
    });

    if (!hasKeys) return;

    test('a client with another key is peer_unavailable for every call, and changes nothing', async () => {
      const { fill, head, invalidate, reads, usage, warm, stranger, origin, etag, replica } = await opened();
      await head();
      const received = vi.spyOn(replica.engine.capacity, 'receiveReads');
      const sink = collectSink();
      await expect(fill({}, {}, sink, stranger)).rejects.toMatchObject({ code: 'peer_unavailable' });
      await expect(head(60_000, KEY, stranger)).rejects.toMatchObject({ code: 'peer_unavailable' });
      await expect(invalidate(etag, stranger)).rejects.toMatchObject({ code: 'peer_unavailable' });
      await expect(reads({}, stranger)).rejects.toMatchObject({ code: 'peer_unavailable' });
      await expect(usage({}, stranger)).rejects.toMatchObject({ code: 'peer_unavailable' });
      await expect(warm({}, {}, stranger)).rejects.toMatchObject({ code: 'peer_unavailable' });
      expect(received).not.toHaveBeenCalled();
      await head();
      expect([sink.lengthBytes, origin.counts.reads, origin.counts.heads]).toEqual([0, 0, 1]);
    });
  });
}

function signal(): AbortSignal {
  return new AbortController().signal;
}

/** What the promise rejects with; undefined if it resolves. */
function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}
