/** For people: pins and last reads of versions, from ledgers, pins and memory. */
import { expect, it } from 'vitest';
import { BucketNames } from '#cache/core/capacity/bucket-names.ts';
import { keyHigh, keyLow, ledgerName, MINUTE_MS, shardOf } from '#cache/core/capacity/chunk-key.ts';
import { metaOf, RecordRows } from '#cache/core/capacity/records.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { Ledgers } from '#cache/engine/capacity/ledgers.ts';
import { Pins } from '#cache/engine/capacity/pins.ts';
import { VersionUseLookup } from '#cache/engine/capacity/version-use.ts';
import { capacityRoom, NEVER } from '#test/support/capacity-room.ts';

const A = 'ab'.repeat(32);
/** In the same shard. */
const B = `ab${'cd'.repeat(31)}`;
const C = 'ef'.repeat(32);

function open(storedChunks = 100) {
  const { room, store } = capacityRoom();
  const ledgers = new Ledgers(room);
  const pins = new Pins(room, () => undefined);
  const lookup = new VersionUseLookup(room, ledgers, () => storedChunks);
  const nowMinute = room.time.nowMinute();
  const read = (versionHex: string, index: number, minute: number): void => {
    const path = `test/${versionHex}/${index}`;
    const buckets = new BucketNames();
    const reads = new RecordRows();
    reads.push(keyHigh(path), keyLow(path), minute, metaOf(shardOf(path), buckets.numberOf('b'), false));
    ledgers.merge({ buckets, reads });
  };
  const pin = (name: string, versions: readonly string[], expiresMs: number | null = null) =>
    pins.put({ name, expiresMs, versions: versions.map((versionHex) => ({ versionHex, sizeBytes: 1 })) }, NEVER);
  const look = (...hexes: readonly string[]) =>
    lookup.of(
      hexes.map((versionHex) => ({ versionHex, chunkCount: 3 })),
      NEVER,
    );
  return { ledgers, store, lookup, nowMinute, read, pin, look };
}

it('the last read of any chunk, from the ledger or since', async () => {
  const { ledgers, lookup, nowMinute, read, look } = open();
  read(A, 0, nowMinute - 9);
  read(A, 2, nowMinute - 5);
  read(A, 3, nowMinute);
  await ledgers.write(shardOf(A), NEVER);
  expect(lookup.recentReadMs({ versionHex: A, chunkCount: 3 })).toBeUndefined();
  // The fourth chunk is not one of this version.
  expect((await look(A, B)).uses.get(A)?.lastReadMs).toBe((nowMinute - 5) * MINUTE_MS);
  read(A, 1, nowMinute - 1);
  expect(lookup.recentReadMs({ versionHex: A, chunkCount: 3 })).toBe((nowMinute - 1) * MINUTE_MS);
  const { uses, problems } = await look(A, B);
  expect([...uses].map(([, { lastReadMs }]) => lastReadMs)).toEqual([(nowMinute - 1) * MINUTE_MS, undefined]);
  expect(problems).toEqual([]);
});

it('the names of all pins that hold a version and have not expired', async () => {
  const { pin, look, nowMinute } = open();
  await pin('z', [A, C]);
  await pin('y', [A, B], (nowMinute + 10) * MINUTE_MS);
  await pin('expired', [A], 1);
  const { uses } = await look(A, B, C);
  expect([A, B, C].map((hex) => uses.get(hex)?.pins)).toEqual([['y', 'z'], ['y'], ['z']]);
});

it('what cannot be read is a problem, and does not hide others', async () => {
  const { store, pin, look, ledgers, read, nowMinute } = open();
  await pin('p', [A]);
  read(A, 0, nowMinute - 3);
  await ledgers.write(shardOf(A), NEVER);
  store.inject({
    on: 'small',
    path: ledgerName('test', shardOf(A)),
    error: new OrcaError('store_unavailable', 'down'),
  });
  const { uses, problems } = await look(A);
  expect(uses.get(A)).toEqual({ pins: ['p'], lastReadMs: undefined });
  expect(problems).toEqual(['down']);
});

it('ledgers of a large cachestore are not read for a list', async () => {
  const { look, ledgers, read, nowMinute } = open(5_000_000);
  read(A, 0, nowMinute - 3);
  await ledgers.write(shardOf(A), NEVER);
  const { uses, problems } = await look(A);
  expect(uses.get(A)?.lastReadMs).toBeUndefined();
  expect(problems).toEqual(['the cachestore has too many chunks to look up reads before the last sweep']);
});
