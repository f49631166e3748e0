/** A window with one reader, as cachestore reads use it: verified blocks, and only the reader's range is kept. */
import { assert, asyncProperty, integer, nat } from 'fast-check';
import { expect, test } from 'vitest';
import { crc32 } from 'node:zlib';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { SEGMENT_BYTES, SMALL_SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import type { StreamReader } from '#cache/engine/streams/stream-reader.ts';
import { StreamWindow } from '#cache/engine/streams/stream-window.ts';
import { copyInto } from '#cache/wire/http1/sink.ts';
import { patternBytes } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { isPending } from '#test/support/engine-checks.ts';

const NEVER = new AbortController().signal;
const READ = { demand: 'new', requestId: 'test', signal: NEVER } as const;
/** No divisor of a segment, so that blocks and segments end at different offsets. */
const BLOCK_BYTES = 50_000;
const LENGTH_BYTES = 8 * SMALL_SEGMENT_BYTES;
const WHOLE = { from: 0, to: LENGTH_BYTES };

function metadataOf(body: Uint8Array, blockSizeBytes: number): ChunkMetadata {
  const blockCrcs = Uint32Array.from({ length: Math.ceil(body.length / blockSizeBytes) }, (_, block) =>
    crc32(body.subarray(block * blockSizeBytes, (block + 1) * blockSizeBytes)),
  );
  return { lengthBytes: body.length, etag: 'e', crc32: crc32(body), blockSizeBytes, blockCrcs };
}

interface Options {
  readonly range?: ByteRange;
  readonly fetched?: ByteRange;
  /** The offset of a byte that differs from what the CRCs were computed over. */
  readonly corruptAt?: number;
  /** Small segments of the window; default: as many as the chunk needs. */
  readonly segments?: number;
  readonly blockBytes?: number;
}

/** A window over the blocks of a stored chunk. Memory is too short for the window to grow beyond its segments. */
async function open(options: Options = {}) {
  const { range = WHOLE, fetched = WHOLE, corruptAt, segments = 8, blockBytes = BLOCK_BYTES } = options;
  const memory = new ChunkMemory({ budgetBytes: 2 * SEGMENT_BYTES, clock: fakeClock(), poison: true });
  await memory.lease(SEGMENT_BYTES, 'window', 'new', NEVER);
  const body = patternBytes(LENGTH_BYTES);
  const stored = Buffer.from(body);
  if (corruptAt !== undefined) stored[corruptAt]! ^= 1;
  const ended = new AbortController();
  const window = new StreamWindow({
    memory,
    range: fetched,
    source: 'store',
    isShared: false,
    onEmpty: () => ended.abort(new OrcaError('cancelled', 'the reader has left')),
  });
  window.open(await memory.lease(segments * SMALL_SEGMENT_BYTES, 'window', 'new', NEVER, SMALL_SEGMENT_BYTES));
  const reader = window.join(range, READ);
  window.verify(metadataOf(body, blockBytes), (error) => ended.abort(error));
  const pour = (to = fetched.to) => copyInto(window, stored.subarray(window.writtenTo, to), ended.signal);
  const heldBytes = () => memory.usedBytes - SEGMENT_BYTES;
  return { window, reader, body, ended: ended.signal, pour, heldBytes };
}

/** Takes and releases pieces until the reader ends; returns the bytes, and the error that ended it. */
async function readOn(reader: StreamReader): Promise<{ readonly bytes: Buffer; readonly error?: unknown }> {
  const parts: Buffer[] = [];
  try {
    for (let piece = await reader.next(); piece !== undefined; piece = await reader.next()) {
      parts.push(Buffer.from(piece.bytes));
      piece.release();
    }
    return { bytes: Buffer.concat(parts) };
  } catch (error) {
    return { bytes: Buffer.concat(parts), error };
  }
}

test('holds a block back until its CRC is verified', async () => {
  const { reader, body, pour } = await open();
  const first = reader.next();
  await pour(BLOCK_BYTES - 1);
  expect(await isPending(first)).toBe(true);
  await pour(BLOCK_BYTES);
  const piece = await first;
  expect(body.subarray(0, BLOCK_BYTES).equals(piece!.bytes)).toBe(true);
  piece!.release();
  reader.close();
});

test('delivers all bytes of a chunk whose CRCs match, through fewer segments than it needs', async () => {
  const { window, reader, body, pour, heldBytes } = await open({ segments: 3 });
  const pouring = pour().then(() => window.finish({ answer: { kind: 'bytes' } }));
  const { bytes, error } = await readOn(reader);
  await pouring;
  expect([bytes.equals(body), error]).toEqual([true, undefined]);
  reader.close();
  expect(heldBytes()).toBe(0);
});

test.for([
  ['3 segments', 3, 2 * SMALL_SEGMENT_BYTES + 1],
  ['3 segments', 3, LENGTH_BYTES],
  ['7 segments', 7, 7 * SMALL_SEGMENT_BYTES],
] as const)('a block that does not fit into %s ends the read with chunk_bad', async ([, segments, blockBytes]) => {
  const { reader, ended, pour, heldBytes } = await open({ segments, blockBytes });
  const reading = readOn(reader);
  void pour().catch(() => {});
  expect(await reading).toMatchObject({ bytes: Buffer.alloc(0), error: { code: 'chunk_bad' } });
  expect(ended.reason).toMatchObject({ code: 'chunk_bad' });
  reader.close();
  expect(heldBytes()).toBe(0);
});

test('any block that is accepted is delivered, whatever its size and the range', async () => {
  const offset = nat(LENGTH_BYTES - 1);
  await assert(
    asyncProperty(
      integer({ min: 1, max: 8 }),
      integer({ min: 20_000, max: LENGTH_BYTES }),
      offset,
      offset,
      (...tuple) => isDeliveredOrRejected(...tuple),
    ),
    { numRuns: 100 },
  );
});

async function isDeliveredOrRejected(segments: number, blockBytes: number, a: number, b: number): Promise<void> {
  const range = { from: Math.min(a, b), to: Math.max(a, b) + 1 };
  const { window, reader, body, pour } = await open({ segments, blockBytes, range, fetched: range });
  pour().then(
    () => window.finish({ answer: { kind: 'bytes' } }),
    () => {},
  );
  // In a deadlock this never resolves, and the test times out.
  const { bytes, error } = await readOn(reader);
  if (error === undefined) expect(bytes.equals(body.subarray(range.from, range.to))).toBe(true);
  else {
    expect(error).toMatchObject({ code: 'chunk_bad' });
    expect(blockBytes + SMALL_SEGMENT_BYTES).toBeGreaterThan(segments * SMALL_SEGMENT_BYTES);
  }
  reader.close();
}

test('a corrupt block ends the source with chunk_bad, and none of its bytes leave', async () => {
  const { window, reader, body, ended, pour } = await open({ corruptAt: 2 * BLOCK_BYTES + 5 });
  await pour().catch(() => {});
  expect(ended.reason).toMatchObject({ code: 'chunk_bad' });
  // The source cannot turn its failure into a regular end.
  window.finish({ answer: { kind: 'bytes' } });
  const { bytes, error } = await readOn(reader);
  expect(error).toMatchObject({ code: 'chunk_bad' });
  expect(bytes.equals(body.subarray(0, 2 * BLOCK_BYTES))).toBe(true);
  reader.close();
});

test('a corrupt byte outside the reader’s range, in a fetched block, ends the read too', async () => {
  const range = { from: 10, to: 100 };
  const { reader, pour } = await open({ range, corruptAt: BLOCK_BYTES - 1 });
  await pour().catch(() => {});
  const { bytes, error } = await readOn(reader);
  expect([bytes.length, error]).toMatchObject([0, { code: 'chunk_bad' }]);
  reader.close();
});

test.for([
  [10, 100],
  [BLOCK_BYTES + 7, 4 * BLOCK_BYTES - 9],
  [3 * SMALL_SEGMENT_BYTES - 1, 3 * SMALL_SEGMENT_BYTES + 1],
  [LENGTH_BYTES - 5, LENGTH_BYTES],
] as const)('a reader of [%i, %i) gets only its range of the wider window', async ([from, to]) => {
  const { window, reader, body, pour } = await open({ range: { from, to }, segments: 3 });
  void pour().then(
    () => window.finish({ answer: { kind: 'bytes' } }),
    () => {},
  );
  const { bytes, error } = await readOn(reader);
  expect(error).toBeUndefined();
  expect(bytes.equals(body.subarray(from, to))).toBe(true);
  expect(reader.at).toBe(to);
  reader.close();
});

test('segments before the reader’s range are released before it reads anything', async () => {
  const range = { from: 6 * SMALL_SEGMENT_BYTES, to: LENGTH_BYTES };
  const { window, reader, body, pour, heldBytes } = await open({ range, segments: 2 });
  await pour();
  window.finish({ answer: { kind: 'bytes' } });
  expect(heldBytes()).toBe(2 * SMALL_SEGMENT_BYTES);
  expect((await readOn(reader)).bytes.equals(body.subarray(range.from))).toBe(true);
  reader.close();
});

test('pass() ends the reader early at its offset, and releases all but its unreleased pieces', async () => {
  const { reader, body, ended, pour, heldBytes } = await open();
  await pour(3 * BLOCK_BYTES);
  const piece = await reader.next();
  const second = await reader.next();
  second!.release();
  reader.pass();
  expect(ended.aborted).toBe(true);
  expect(await reader.next()).toBeUndefined();
  const bytesRead = piece!.bytes.length + second!.bytes.length;
  expect([reader.at, reader.answer]).toEqual([bytesRead, undefined]);
  expect(heldBytes()).toBe(SMALL_SEGMENT_BYTES);
  expect(body.subarray(0, piece!.bytes.length).equals(piece!.bytes)).toBe(true);
  piece!.release();
  expect(heldBytes()).toBe(0);
});

test('pass() wakes a reader that waits for bytes', async () => {
  const { reader } = await open();
  const waiting = reader.next();
  expect(await isPending(waiting)).toBe(true);
  reader.pass();
  expect(await waiting).toBeUndefined();
});

test('everything is released when the reader closes, verified or not', async () => {
  const { reader, ended, pour, heldBytes } = await open();
  await pour(3 * BLOCK_BYTES - 1);
  expect(heldBytes()).toBeGreaterThan(0);
  reader.close();
  expect([ended.aborted, heldBytes()]).toEqual([true, 0]);
});
