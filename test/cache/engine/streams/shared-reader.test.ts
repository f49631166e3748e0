import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { SharedReader, type ArrivingChunk } from '#cache/engine/streams/shared-reader.ts';
import { asView } from '#cache/engine/streams/view-or-copy.ts';
import { MIB, patternBytes } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { isPending, turns } from '#test/support/engine-checks.ts';

const NEVER = new AbortController().signal;
const LENGTH_BYTES = 2 * MIB;

/** A chunk that arrives as far as the test calls `arrive`. */
async function open() {
  const memory = new ChunkMemory({ budgetBytes: 8 * MIB, clock: fakeClock(), poison: true });
  const body = patternBytes(LENGTH_BYTES);
  const bytes = new ChunkBytes(await memory.lease(LENGTH_BYTES, 'fill', 'new', NEVER), LENGTH_BYTES);
  for (const at of [0, MIB]) bytes.view(at, at + MIB).set(body.subarray(at, at + MIB));
  const readers: SharedReader[] = [];
  let arrivedTo = 0;
  let failure: OrcaError | undefined;
  let closed = 0;
  const chunk: ArrivingChunk = {
    source: 'fill',
    bytes,
    availableTo: (offset) => Math.max(offset, arrivedTo),
    throwIfFailed() {
      if (failure !== undefined) throw failure;
    },
  };
  const join = (range: ByteRange, signal = NEVER) => {
    const reader = new SharedReader(chunk, { range, signal, makePiece: asView, onClose: () => closed++ });
    readers.push(reader);
    return reader;
  };
  const arrive = (to: number) => {
    arrivedTo = to;
    for (const reader of readers) reader.notice({ from: 0, to: LENGTH_BYTES, at: to });
  };
  const fail = (error: OrcaError) => {
    failure = error;
    for (const reader of readers) reader.wake();
  };
  return { memory, body, bytes, join, arrive, fail, closes: () => closed };
}

async function readOn(reader: SharedReader): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let piece = await reader.next(); piece !== undefined; piece = await reader.next()) {
    parts.push(Buffer.from(piece.bytes));
    piece.release();
  }
  return Buffer.concat(parts);
}

test('each reader gets its own range, from its own offset, as bytes arrive', async () => {
  const { body, join, arrive } = await open();
  const ranges = [
    [0, LENGTH_BYTES],
    [100, MIB + 1],
    [MIB, MIB + 10],
  ] as const;
  const reading = ranges.map(([from, to]) => readOn(join({ from, to })));
  for (let at = 50_000; at < LENGTH_BYTES; at += 50_000) {
    await turns(1);
    arrive(at);
  }
  arrive(LENGTH_BYTES);
  for (const [i, [from, to]] of ranges.entries())
    expect((await reading[i]!).equals(body.subarray(from, to))).toBe(true);
});

test('takes its first byte at once, and then waits for 64 KiB', async () => {
  const { join, arrive } = await open();
  const reader = join({ from: 0, to: LENGTH_BYTES });
  const first = reader.next();
  arrive(1);
  expect((await first)!.bytes.length).toBe(1);
  const second = reader.next();
  arrive(65_536);
  expect(await isPending(second)).toBe(true);
  arrive(65_537);
  expect((await second)!.bytes.length).toBe(65_536);
});

test('a failure is thrown after the bytes that have arrived', async () => {
  const { body, join, arrive, fail } = await open();
  arrive(100_000);
  fail(new OrcaError('origin_unavailable', 'injected'));
  const reader = join({ from: 0, to: LENGTH_BYTES });
  expect(body.subarray(0, 100_000).equals((await reader.next())!.bytes)).toBe(true);
  await expect(reader.next()).rejects.toMatchObject({ code: 'origin_unavailable' });
});

test('a chunk that was evicted is reported as missing; pieces taken before stay valid', async () => {
  const { body, bytes, join, arrive } = await open();
  arrive(LENGTH_BYTES);
  const reader = join({ from: 0, to: LENGTH_BYTES });
  const piece = await reader.next();
  bytes.drop();
  await expect(reader.next()).rejects.toMatchObject({ code: 'chunk_missing' });
  expect(body.subarray(0, MIB).equals(piece!.bytes)).toBe(true);
});

test('pass() ends a waiting reader early, close() rejects it with cancelled', async () => {
  const { join, closes } = await open();
  const [passed, closed] = [join({ from: 0, to: 10 }), join({ from: 0, to: 10 })];
  const waiting = [passed.next(), closed.next()] as const;
  passed.pass();
  expect(await waiting[0]).toBeUndefined();
  closed.close();
  await expect(waiting[1]).rejects.toMatchObject({ code: 'cancelled' });
  expect(closes()).toBe(2);
  // A reader that was passed stays so.
  passed.close();
  expect(await passed.next()).toBeUndefined();
});

test('a client that disconnects ends its own reader only', async () => {
  const { join, arrive, body } = await open();
  const disconnect = new AbortController();
  const waiting = join({ from: 0, to: 10 }, disconnect.signal).next();
  const other = readOn(join({ from: 0, to: 10 }));
  disconnect.abort(new OrcaError('cancelled', 'the client has disconnected'));
  await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
  arrive(10);
  expect((await other).equals(body.subarray(0, 10))).toBe(true);
});

test('a part is wanted until the reader has read beyond it', async () => {
  const { join, arrive } = await open();
  const reader = join({ from: MIB, to: MIB + 100_000 });
  const wants = (from: number, to: number) => reader.wants({ from, to });
  expect([wants(0, MIB), wants(0, MIB + 1), wants(MIB + 99_999, LENGTH_BYTES)]).toEqual([false, true, true]);
  expect(wants(MIB + 100_000, LENGTH_BYTES)).toBe(false);
  arrive(MIB + 70_000);
  (await reader.next())!.release();
  expect([wants(MIB, MIB + 70_000), wants(MIB, MIB + 70_001)]).toEqual([false, true]);
});
