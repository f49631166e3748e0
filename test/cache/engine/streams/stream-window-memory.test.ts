/** A window with one reader: when its memory is released, and how it ends. */
import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { StreamWindow } from '#cache/engine/streams/stream-window.ts';
import { MIB } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const NEVER = new AbortController().signal;
const READ = { demand: 'new', requestId: 'test', signal: NEVER } as const;

describe('a window with one reader', () => {
  /** As `openStoreStream` opens it. */
  async function ownWindow() {
    const memory = new ChunkMemory({ budgetBytes: 4 * MIB, clock: fakeClock(), poison: true });
    const closed = new AbortController();
    const window = new StreamWindow({
      memory,
      range: { from: 0, to: 3 * MIB },
      source: 'store',
      isShared: false,
      onEmpty: () => closed.abort(new OrcaError('cancelled', 'the reader has left')),
    });
    window.open(await memory.lease(2 * MIB, 'window', 'new', NEVER));
    return { memory, window, closed: closed.signal };
  }

  test('keeps the memory that a read of a file still writes into until that read has ended', async () => {
    const { memory, window, closed } = await ownWindow();
    const reader = window.join(window.range, READ);
    const space = window.space()!;
    reader.close();
    expect(closed.aborted).toBe(true);
    expect(memory.usedBytes).toBe(MIB);
    const other = await memory.lease(3 * MIB, 'fill', 'new', NEVER);
    const segments = [other.take()!, other.take()!, other.take()!];
    for (const { bytes } of segments) bytes.fill(1);
    // The kernel finishes its write: a read of a file cannot be cancelled.
    space.fill(2);
    for (const { bytes } of segments) expect(bytes.every((byte) => byte === 1)).toBe(true);
    window.finish({ error: new OrcaError('cancelled', 'the reader has left') });
    expect(memory.usedBytes).toBe(3 * MIB);
    for (const segment of segments) segment.release();
    other.close();
    expect(memory.usedBytes).toBe(0);
  });

  test('releases everything at once when no read is writing', async () => {
    const { memory, window } = await ownWindow();
    const reader = window.join(window.range, READ);
    window.space();
    window.filled(MIB);
    reader.close();
    expect(memory.usedBytes).toBe(0);
  });

  test('ends well for a reader that has all its bytes, even if its client has closed the connection since', async () => {
    const { window } = await ownWindow();
    const client = new AbortController();
    const reader = window.join({ from: 0, to: MIB }, { ...READ, signal: client.signal });
    window.space();
    window.filled(MIB);
    (await reader.next())!.release();
    client.abort(new OrcaError('cancelled', 'the client closed the connection'));
    expect(await reader.next()).toBeUndefined();
    reader.close();
  });
});
