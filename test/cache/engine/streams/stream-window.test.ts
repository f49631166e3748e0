import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { StreamReader } from '#cache/engine/streams/stream-reader.ts';
import { StreamWindow } from '#cache/engine/streams/stream-window.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';
import { copyInto } from '#cache/wire/http1/sink.ts';
import { MIB, patternBytes } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { turns } from '#test/support/engine-checks.ts';

const PLENTY = 256 * MIB;
/** More than half of it is leased: no reader gets more than its share. */
const SCARCE = 6 * MIB;
const NEVER = new AbortController().signal;
const READ = { demand: 'new', requestId: 'test', signal: NEVER } as const;

interface Options {
  readonly lengthBytes: number;
  readonly from?: number;
  readonly budgetBytes?: number;
}

/** A shared window over a chunk, whose source writes as fast as there is room. */
async function stream({ lengthBytes, from = 0, budgetBytes = PLENTY }: Options) {
  const memory = new ChunkMemory({ budgetBytes, clock: fakeClock(), poison: true });
  const body = patternBytes(lengthBytes);
  const closed = new AbortController();
  const window = new StreamWindow({
    memory,
    range: { from, to: lengthBytes },
    source: 'peer_fill',
    isShared: true,
    onEmpty: () => closed.abort(new OrcaError('cancelled', 'all readers have left')),
  });
  window.open(await memory.lease(Math.min(lengthBytes - from, 4 * MIB), 'window', 'new', NEVER));
  const pour = async (to = lengthBytes) => {
    await copyInto(window, body.subarray(window.writtenTo, to), closed.signal);
    if (to === lengthBytes) window.finish({ answer: { kind: 'bytes' } });
  };
  const join = (start = from, to = lengthBytes) => window.join({ from: start, to }, READ);
  return { memory, window, body, closed: closed.signal, pour, join };
}

/** Reads to the end, or until the reader is passed; releases each piece at once. */
async function readOn(reader: StreamReader): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let piece = await reader.next(); piece !== undefined; piece = await reader.next()) {
    parts.push(Buffer.from(piece.bytes));
    piece.release();
  }
  return Buffer.concat(parts);
}

async function take(reader: StreamReader): Promise<Piece> {
  const piece = await reader.next();
  if (piece === undefined) throw new Error('the reader has ended');
  return piece;
}

describe('a shared window', () => {
  test('delivers to each reader its own range, in one pass of the source', async () => {
    const { memory, body, pour, join } = await stream({ lengthBytes: 7 * MIB });
    const ranges = [
      [0, 7 * MIB],
      [0, 100],
      [12_345, 3 * MIB + 1],
      [2 * MIB, 7 * MIB],
    ] as const;
    const readers = ranges.map(([from, to]) => join(from, to));
    const pouring = pour();
    const read = await Promise.all(readers.map(readOn));
    await pouring;
    for (const [i, [from, to]] of ranges.entries()) expect(read[i]!.equals(body.subarray(from, to))).toBe(true);
    for (const reader of readers) reader.close();
    expect(memory.usedBytes).toBe(0);
  });

  test('follows its fastest reader, and passes a slow one at a correct offset', async () => {
    const { memory, body, pour, join } = await stream({ lengthBytes: 16 * MIB, budgetBytes: SCARCE });
    const [fast, slow] = [join(), join()];
    const pouring = pour();
    const held = await take(slow);
    const first = Buffer.from(held.bytes);
    expect((await readOn(fast)).equals(body)).toBe(true);
    await pouring;
    // The piece it has taken is unchanged, however far other readers are.
    expect(Buffer.from(held.bytes).equals(first)).toBe(true);
    expect(await slow.next()).toBeUndefined();
    expect(slow.at).toBe(first.length);
    // The end of the source is not this reader's end.
    expect(slow.answer).toBeUndefined();
    held.release();
    slow.close();
    fast.close();
    expect(memory.usedBytes).toBe(0);
  });

  test('keeps segments that a slow reader still needs while memory is plentiful, up to eight', async () => {
    const { memory, body, pour, join } = await stream({ lengthBytes: 8 * MIB });
    const [fast, slow] = [join(), join()];
    const pouring = pour();
    expect((await readOn(fast)).equals(body)).toBe(true);
    await pouring;
    fast.close();
    expect(memory.usedBytes).toBe(8 * MIB);
    expect((await readOn(slow)).equals(body)).toBe(true);
    slow.close();
    expect(memory.usedBytes).toBe(0);
  });

  test('follows the next fastest reader when the fastest one leaves', async () => {
    const { window, pour, join } = await stream({ lengthBytes: 16 * MIB, budgetBytes: SCARCE });
    const slow = join();
    void pour().catch(() => {});
    await turns(20);
    join(4 * MIB).close();
    await turns(20);
    expect(window.writtenTo).toBe(2 * MIB);
    (await take(slow)).release();
    slow.close();
  });

  test('is at most two segments ahead of its fastest reader when memory is short', async () => {
    const { window, pour, join } = await stream({ lengthBytes: 16 * MIB, budgetBytes: SCARCE });
    const reader = join();
    void pour().catch(() => {});
    await turns(20);
    expect(window.writtenTo).toBe(2 * MIB);
    for (let at = 1; at <= 4; at++) {
      const piece = await take(reader);
      piece.release();
      await turns(20);
      expect(window.writtenTo).toBe((2 + at) * MIB);
    }
    reader.close();
  });

  test('continues for the fastest reader while slow sockets hold segments it has passed', async () => {
    const { memory, body, pour, join } = await stream({ lengthBytes: 16 * MIB, budgetBytes: 16 * MIB });
    const fast = join();
    const pouring = pour();
    const slow: { readonly reader: StreamReader; readonly piece: Piece; readonly bytes: Buffer }[] = [];
    const parts: Buffer[] = [];
    for (let to = MIB; to <= body.length; to += MIB) {
      // At each segment a new reader, which keeps its piece.
      const reader = slow.length < 6 ? join(fast.at) : undefined;
      const [piece, kept] = await Promise.all([take(fast), reader && take(reader)]);
      if (reader !== undefined && kept !== undefined)
        slow.push({ reader, piece: kept, bytes: Buffer.from(kept.bytes) });
      parts.push(Buffer.from(piece.bytes));
      piece.release();
    }
    await pouring;
    expect(Buffer.concat(parts).equals(body)).toBe(true);
    for (const { piece, bytes } of slow) expect(Buffer.from(piece.bytes).equals(bytes)).toBe(true);
    expect(memory.usedBytes).toBeLessThanOrEqual(16 * MIB);
    for (const { reader, piece } of slow) {
      reader.close();
      piece.release();
    }
    fast.close();
    expect(memory.usedBytes).toBe(0);
  });

  test('a reader has at most two segments handed to its socket', async () => {
    const { pour, join } = await stream({ lengthBytes: 8 * MIB });
    const reader = join();
    void pour().catch(() => {});
    const pieces = [await take(reader), await take(reader)];
    const third = reader.next();
    expect(await Promise.race([third, turns(20).then(() => 'waits')])).toBe('waits');
    pieces[0]!.release();
    (await third)!.release();
    pieces[1]!.release();
    reader.close();
  });

  test('a reader that leaves does not affect other readers; the last one closes the stream', async () => {
    const { memory, body, closed, pour, join } = await stream({ lengthBytes: 8 * MIB, budgetBytes: SCARCE });
    const [one, other] = [join(), join()];
    const pouring = pour();
    (await take(one)).release();
    one.close();
    expect(closed.aborted).toBe(false);
    const piece = await take(other);
    other.close();
    expect(closed.aborted).toBe(true);
    await expect(pouring).rejects.toMatchObject({ code: 'cancelled' });
    expect(Buffer.from(piece.bytes).equals(body.subarray(0, piece.bytes.length))).toBe(true);
    expect(memory.usedBytes).toBe(MIB);
    piece.release();
    expect(memory.usedBytes).toBe(0);
  });

  test('a reader that was passed does not keep the stream open', async () => {
    const { closed, pour, join } = await stream({ lengthBytes: 16 * MIB, budgetBytes: SCARCE });
    const [fast, slow] = [join(), join()];
    const pouring = pour();
    await readOn(fast);
    await pouring;
    fast.close();
    expect(closed.aborted).toBe(true);
    expect(await slow.next()).toBeUndefined();
    slow.close();
  });

  test('every reader gets the source’s error after the last valid byte', async () => {
    const { body, window, pour, join } = await stream({ lengthBytes: 3 * MIB });
    const readers = [join(), join(100), join(MIB + 1)];
    await pour(MIB + 70_000);
    window.finish({ error: new OrcaError('peer_unavailable', 'cut') });
    for (const [i, from] of [0, 100, MIB + 1].entries()) {
      const parts: Buffer[] = [];
      const reading = (async () => {
        for (;;) {
          const piece = await take(readers[i]!);
          parts.push(Buffer.from(piece.bytes));
          piece.release();
        }
      })();
      await expect(reading).rejects.toMatchObject({ code: 'peer_unavailable' });
      expect(Buffer.concat(parts).equals(body.subarray(from, MIB + 70_000))).toBe(true);
      readers[i]!.close();
    }
  });

  test('an answer without bytes ends every reader, and each can read it', async () => {
    const { window, join } = await stream({ lengthBytes: MIB });
    const [one, other] = [join(), join()];
    const waiting = one.next();
    window.finish({ answer: { kind: 'stored' } });
    expect(await waiting).toBeUndefined();
    expect(await other.next()).toBeUndefined();
    for (const reader of [one, other]) {
      expect(reader.answer).toEqual({ kind: 'stored' });
      reader.close();
    }
  });

  test('a source that ends early is an error, not an end', async () => {
    const { window, pour, join } = await stream({ lengthBytes: MIB });
    const reader = join();
    await pour(10);
    window.finish({ answer: { kind: 'bytes' } });
    (await take(reader)).release();
    await expect(reader.next()).rejects.toMatchObject({ code: 'internal' });
    reader.close();
  });

  test('a reader whose client disconnects rejects at once', async () => {
    const { window, memory } = await stream({ lengthBytes: MIB });
    const disconnect = new AbortController();
    const reader = window.join(window.range, { ...READ, signal: disconnect.signal });
    const waiting = reader.next();
    disconnect.abort(new OrcaError('cancelled', 'the client has disconnected'));
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    reader.close();
    expect(memory.usedBytes).toBe(0);
  });
});

describe('a new reader', () => {
  test('may join where the window holds its first byte, or will soon, and reaches its last', async () => {
    const { window, pour, join } = await stream({ lengthBytes: 16 * MIB, from: MIB, budgetBytes: SCARCE });
    const covers = (from: number, to: number) => window.covers({ from, to });
    expect(covers(MIB, 16 * MIB)).toBe(true);
    expect(covers(3 * MIB, 4 * MIB)).toBe(true);
    expect(covers(0, 16 * MIB)).toBe(false);
    expect(covers(MIB, 16 * MIB + 1)).toBe(false);
    // A reader does not wait while bytes long before its own are sent.
    expect(covers(3 * MIB + 1, 4 * MIB)).toBe(false);
    const reader = join();
    void pour().catch(() => {});
    for (let i = 0; i < 8; i++) (await take(reader)).release();
    await turns(20);
    expect(window.writtenTo).toBe(11 * MIB);
    expect(covers(8 * MIB, 16 * MIB)).toBe(true);
    expect(window.hasPassed({ from: 8 * MIB, to: 16 * MIB })).toBe(false);
    expect(covers(6 * MIB, 16 * MIB)).toBe(false);
    expect(window.hasPassed({ from: 6 * MIB, to: 16 * MIB })).toBe(true);
    // The window never contained it.
    expect(window.hasPassed({ from: 0, to: 16 * MIB })).toBe(false);
    reader.close();
  });

  test('that joins further on does not wait for a slow reader behind it', async () => {
    const { body, pour, join } = await stream({ lengthBytes: 16 * MIB, budgetBytes: SCARCE });
    const slow = join();
    const kept = await Promise.all([pour(64 * 1024), take(slow)]);
    void pour().catch(() => {});
    const further = join(2 * MIB, 10 * MIB);
    expect((await readOn(further)).equals(body.subarray(2 * MIB, 10 * MIB))).toBe(true);
    kept[1].release();
    slow.close();
    further.close();
  });
});
