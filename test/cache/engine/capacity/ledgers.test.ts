import { expect, it } from 'vitest';
import { BucketNames } from '#cache/core/capacity/bucket-names.ts';
import { keyHigh, keyLow, ledgerName, shardOf } from '#cache/core/capacity/chunk-key.ts';
import { metaOf, RecordRows } from '#cache/core/capacity/records.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { Ledgers } from '#cache/engine/capacity/ledgers.ts';
import { capacityRoom, NEVER } from '#test/support/capacity-room.ts';
import { pathOf } from '#test/support/capacity-rooms.ts';

function open(maxReported?: number) {
  const { room, store, counts } = capacityRoom();
  const ledgers = new Ledgers(room, maxReported);
  const nowMinute = room.time.nowMinute();
  const read = (numbers: readonly number[], minute = nowMinute, bucket = 'b'): void => {
    const buckets = new BucketNames();
    const reads = new RecordRows();
    for (const number of numbers) {
      const path = pathOf(number);
      reads.push(keyHigh(path), keyLow(path), minute, metaOf(shardOf(path), buckets.numberOf(bucket), false));
    }
    ledgers.merge({ buckets, reads });
  };
  const key = (number: number) => [keyHigh(pathOf(number)), keyLow(pathOf(number))] as const;
  const shard = (number: number) => shardOf(pathOf(number));
  return { ledgers, room, store, counts, read, key, shard, nowMinute };
}

const down = new OrcaError('store_unavailable', 'down');

it('a ledger in the cachestore and what was reported since are one', async () => {
  const { ledgers, read, key, shard, nowMinute } = open();
  read([1], nowMinute - 5);
  await ledgers.write(shard(1), NEVER);
  expect(ledgers.reported).toBe(0);
  read([1], nowMinute - 2);
  const first = await ledgers.open(shard(1), NEVER);
  expect(first.lastRead(...key(1))).toEqual({ minute: nowMinute - 2, isProven: true, bucket: 'b' });
  read([1], nowMinute);
  expect(first.lastRead(...key(1))?.minute).toBe(nowMinute);
  await first.save(NEVER);
  // What was reported while it was open is still to be written.
  expect(ledgers.reported).toBe(1);
  expect((await ledgers.open(shard(1), NEVER)).lastRead(...key(1))?.minute).toBe(nowMinute);
});

it('what was not written is still there', async () => {
  const { ledgers, read, key, shard, store, nowMinute } = open();
  read([1]);
  store.inject({ on: 'small', path: ledgerName('test', shard(1)), error: down });
  await expect(ledgers.open(shard(1), NEVER)).rejects.toBe(down);
  expect(ledgers.reported).toBe(1);
  const opened = await ledgers.open(shard(1), NEVER);
  store.inject({ on: 'small', path: ledgerName('test', shard(1)), error: down });
  await expect(opened.save(NEVER)).rejects.toBe(down);
  expect((await ledgers.open(shard(1), NEVER)).lastRead(...key(1))?.minute).toBe(nowMinute);
});

it('an unreadable ledger counts as an empty one, and is replaced', async () => {
  const { ledgers, read, key, shard, store, counts } = open();
  await store.putSmall(ledgerName('test', shard(1)), new Uint8Array(50), { signal: NEVER });
  read([1]);
  await ledgers.write(shard(1), NEVER);
  expect(counts.warnings).toHaveLength(1);
  expect((await ledgers.open(shard(1), NEVER)).lastRead(...key(1))).toBeDefined();
  expect(counts.warnings).toHaveLength(1);
});

it('a clock that is ahead does not protect a chunk', async () => {
  const { ledgers, read, key, shard, nowMinute } = open();
  read([1], nowMinute + 10_000);
  expect((await ledgers.open(shard(1), NEVER)).lastRead(...key(1))?.minute).toBe(nowMinute);
});

it('have a limit, beyond which known chunks are still updated, and which is noticed in time', () => {
  const { ledgers, read, nowMinute } = open(100);
  read(Array.from({ length: 49 }, (_, at) => at));
  expect(ledgers.crowded()).toBeUndefined();
  read(
    Array.from({ length: 150 }, (_, at) => at),
    nowMinute - 1,
  );
  expect(ledgers.reported).toBe(100);
  expect(ledgers.crowded()).toBeTypeOf('number');
});

it('of other owners are taken out, with the names of their buckets', () => {
  const { ledgers, read, shard } = open();
  read([1], 5, 'first');
  read([2], 6, 'second');
  const { buckets, reads } = ledgers.takeWhere((taken) => taken === shard(1));
  expect([reads.size, ledgers.dirty()]).toEqual([1, [shard(2)]]);
  reads.forEach((_high, _low, _minute, meta) => expect(buckets.nameOf(meta & 0xffff)).toBe('first'));
});
