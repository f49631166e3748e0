import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { StreamReader } from '#cache/engine/streams/stream-reader.ts';
import { StreamWindow } from '#cache/engine/streams/stream-window.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';
import { copyInto } from '#cache/wire/http1/sink.ts';
import { MIB, patternBytes } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const PLENTY = 256 * MIB;
/** Too much of it is taken for anybody to have more than its share. */
const SCARCE = 6 * MIB;
const NEVER = new AbortController().signal;
const READ = { demand: 'new', requestId: 'test', signal: NEVER } as const;

interface Options {
  readonly lengthBytes: number;
  readonly from?: number;
  readonly budgetBytes?: number;
}

/** A window over the bytes of a chunk that a source pours in as fast as there is room. */
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

/** Reads on to the end, or to where it is left behind, giving each piece back at once. */
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
  if (piece === undefined) throw new Error('the reader has nothing to take');
  return piece;
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe('a window that many read', () => {
  test('gives each reader its own range, from one pass of the source', async () => {
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

  test('goes with the fastest and leaves behind who is slow, at a right offset', async () => {
    const { memory, body, pour, join } = await stream({ lengthBytes: 16 * MIB, budgetBytes: SCARCE });
    const [fast, slow] = [join(), join()];
    const pouring = pour();
    const held = await take(slow);
    const first = Buffer.from(held.bytes);
    expect((await readOn(fast)).equals(body)).toBe(true);
    await pouring;
    // What it has taken is still what it was, however far the others are.
    expect(Buffer.from(held.bytes).equals(first)).toBe(true);
    expect(await slow.next()).toBeUndefined();
    expect(slow.at).toBe(first.length);
    // That the others have it all says nothing of this one.
    expect(slow.answer).toBeUndefined();
    held.release();
    slow.close();
    fast.close();
    expect(memory.usedBytes).toBe(0);
  });

  test('keeps the segments that the slow one still needs while memory is plenty, up to eight', async () => {
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

  test('is not ahead of its fastest reader by more than two segments when memory is short', async () => {
    const { window, pour, join } = await stream({ lengthBytes: 16 * MIB, budgetBytes: SCARCE });
    const reader = join();
    void pour().catch(() => {});
    await turns();
    expect(window.writtenTo).toBe(2 * MIB);
    for (let at = 1; at <= 4; at++) {
      const piece = await take(reader);
      piece.release();
      await turns();
      expect(window.writtenTo).toBe((2 + at) * MIB);
    }
    reader.close();
  });

  test('goes on for the fast one while slow sockets hold what it has passed', async () => {
    const { memory, body, pour, join } = await stream({ lengthBytes: 16 * MIB, budgetBytes: 16 * MIB });
    const fast = join();
    const pouring = pour();
    const slow: { readonly reader: StreamReader; readonly piece: Piece; readonly bytes: Buffer }[] = [];
    const parts: Buffer[] = [];
    for (let to = MIB; to <= body.length; to += MIB) {
      // A new one at each segment, that keeps it.
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

  test('a reader has at most two segments on their way to its socket', async () => {
    const { pour, join } = await stream({ lengthBytes: 8 * MIB });
    const reader = join();
    void pour().catch(() => {});
    const pieces = [await take(reader), await take(reader)];
    const third = reader.next();
    expect(await Promise.race([third, turns().then(() => 'waits')])).toBe('waits');
    pieces[0]!.release();
    (await third)!.release();
    pieces[1]!.release();
    reader.close();
  });

  test('a reader that leaves ends nothing for the others; the last one ends all', async () => {
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

  test('one that was left behind keeps nothing open', async () => {
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

  test('the source’s error comes after the last good byte, to everybody', async () => {
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

  test('an answer without bytes ends every reader, who can read it', async () => {
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

  test('a source that ends short is an error, not an end', async () => {
    const { window, pour, join } = await stream({ lengthBytes: MIB });
    const reader = join();
    await pour(10);
    window.finish({ answer: { kind: 'bytes' } });
    (await take(reader)).release();
    await expect(reader.next()).rejects.toMatchObject({ code: 'internal' });
    reader.close();
  });

  test('a reader whose client goes is told so at once', async () => {
    const { window, memory } = await stream({ lengthBytes: MIB });
    const gone = new AbortController();
    const reader = window.join(window.range, { ...READ, signal: gone.signal });
    const waiting = reader.next();
    gone.abort(new OrcaError('cancelled', 'the client has gone'));
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    reader.close();
    expect(memory.usedBytes).toBe(0);
  });
});

describe('who may join', () => {
  test('a range that the window holds or will soon hold, to its end', async () => {
    const { window, pour, join } = await stream({ lengthBytes: 16 * MIB, from: MIB, budgetBytes: SCARCE });
    const covers = (from: number, to: number) => window.covers({ from, to });
    expect(covers(MIB, 16 * MIB)).toBe(true);
    expect(covers(3 * MIB, 4 * MIB)).toBe(true);
    expect(covers(0, 16 * MIB)).toBe(false);
    expect(covers(MIB, 16 * MIB + 1)).toBe(false);
    // Nobody waits for the bytes of others that come long before its own.
    expect(covers(3 * MIB + 1, 4 * MIB)).toBe(false);
    const reader = join();
    void pour().catch(() => {});
    for (let i = 0; i < 8; i++) (await take(reader)).release();
    await turns();
    expect(window.writtenTo).toBe(11 * MIB);
    expect(covers(8 * MIB, 16 * MIB)).toBe(true);
    expect(window.hasPassed({ from: 8 * MIB, to: 16 * MIB })).toBe(false);
    expect(covers(6 * MIB, 16 * MIB)).toBe(false);
    expect(window.hasPassed({ from: 6 * MIB, to: 16 * MIB })).toBe(true);
    // That it never had.
    expect(window.hasPassed({ from: 0, to: 16 * MIB })).toBe(false);
    reader.close();
  });

  test('one that joins further on does not wait for a slow one before it', async () => {
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
