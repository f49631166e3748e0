import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { expectNothingLeased } from '#test/support/engine-checks.ts';
import { MIB, openEngines, patternBytes, readAll, readRequest } from '#test/support/engines.ts';

/** One replica and an object of one chunk, which is too long to be loaded into memory. */
function open() {
  const engines = openEngines({ chunkBytes: 16 * MIB });
  const body = patternBytes(16 * MIB);
  engines.origin.put('far-models', 'a', body);
  const { engine } = engines.replicas[0]!;
  const read = (signal = new AbortController().signal) => readAll(engine, readRequest('a', { signal }));
  return { engines, engine, body, read };
}

describe('concurrent readers of a chunk that no catalog lists', () => {
  test('wait for the first one’s 404, and share its fill', async () => {
    const { engines, body, read } = open();
    engines.store.readGate.hold();
    const reads = Array.from({ length: 20 }, () => read());
    await engines.store.readGate.reached();
    engines.store.readGate.release();
    for (const { bytes } of await Promise.all(reads)) expect(bytes.equals(body)).toBe(true);
    await expectNothingLeased(engines);
    expect(engines.store.counts).toMatchObject({ reads: 1, has: 0 });
    expect(engines.origin.counts.bytes).toBe(body.length);
  });

  test('read it themselves once the first one has found it', async () => {
    const { engines, body, read } = open();
    await read();
    await expectNothingLeased(engines);
    const warm = openEngines({ chunkBytes: 16 * MIB, store: engines.store, originSeen: () => engines.origin });
    const reads = Array.from({ length: 5 }, () => readAll(warm.replicas[0]!.engine, readRequest('a')));
    for (const { bytes } of await Promise.all(reads)) expect(bytes.equals(body)).toBe(true);
    expect(warm.store.counts.reads).toBe(1 + 5);
    expect(engines.origin.counts.bytes).toBe(body.length);
  });

  test('do not wait for each other while the cachestore fails', async () => {
    const { engines, body, read } = open();
    engines.store.inject({ on: 'read', error: new OrcaError('store_unavailable', 'injected'), times: 5 });
    engines.store.readGate.hold();
    const reads = Array.from({ length: 5 }, () => read());
    await engines.store.readGate.reached();
    engines.store.readGate.release();
    for (const { bytes } of await Promise.all(reads)) expect(bytes.equals(body)).toBe(true);
    expect(engines.origin.counts.bytes).toBe(body.length);
  });

  test('elect another one when the first client disconnects', async () => {
    const { engines, body, read } = open();
    engines.store.readGate.hold();
    const disconnect = new AbortController();
    const first = read(disconnect.signal);
    first.catch(() => {});
    await engines.store.readGate.reached();
    const others = [read(), read()];
    await new Promise((resolve) => setImmediate(resolve));
    disconnect.abort(new OrcaError('cancelled', 'the client has disconnected'));
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    await engines.store.readGate.reached();
    engines.store.readGate.release();
    for (const { bytes } of await Promise.all(others)) expect(bytes.equals(body)).toBe(true);
    expect(engines.store.counts.reads).toBe(2);
    await expectNothingLeased(engines);
  });
});
