import { describe, expect, it, vi } from 'vitest';
import { keyHigh, keyLow, shardOf } from '#cache/core/capacity/chunk-key.ts';
import { bucketOf, isProven, shardOfMeta } from '#cache/core/capacity/records.ts';
import type { ReportParts } from '#cache/core/capacity/report-codec.ts';
import type { PeerAddress } from '#cache/core/peer-set.ts';
import { ReadLog, type ReadLogOptions } from '#cache/engine/capacity/read-log.ts';
import { chunkPathOf, versionOf } from '#test/support/capacity.ts';

const MINUTE = 60_000;
const START = 29_000_000;
const A = '10.0.0.1:8444' as PeerAddress;
const B = '10.0.0.2:8444' as PeerAddress;

function world(options: Partial<ReadLogOptions> = {}) {
  const time = { ms: START * MINUTE };
  const onFull = vi.fn<() => void>();
  return { time, onFull, log: new ReadLog({ clock: { date: () => time.ms }, onFull, ...options }) };
}

function readsOf({ reads, buckets }: ReportParts): Map<string, object> {
  const found = new Map<string, object>();
  reads.forEach((high, low, minute, meta) => {
    const rest = { bucket: buckets.nameOf(bucketOf(meta)), isProven: isProven(meta), shard: shardOfMeta(meta) };
    found.set(`${high}/${low}`, { minute: minute - START, ...rest });
  });
  return found;
}

function keyOf(path: string): string {
  return `${keyHigh(path)}/${keyLow(path)}`;
}

describe('the log of reads', () => {
  it('has one entry a chunk: its last minute, its bucket, and whether there were reads in several minutes', () => {
    const { log, time } = world();
    const [once, again] = [chunkPathOf('once', 0), chunkPathOf('again', 7)];
    log.touch(once, 'b1');
    log.touch(again, 'b2');
    log.touch(once, 'b1');
    time.ms += 2 * MINUTE;
    log.touch(again, 'b2');
    expect(log.size).toBe(2);
    const taken = log.take(() => A);
    expect([...taken.keys()]).toEqual([A]);
    expect(readsOf(taken.get(A)!)).toEqual(
      new Map([
        [keyOf(once), { minute: 0, bucket: 'b1', isProven: false, shard: shardOf(once) }],
        [keyOf(again), { minute: 2, bucket: 'b2', isProven: true, shard: shardOf(again) }],
      ]),
    );
  });

  it('is divided by the owners of shards, and empty afterwards', () => {
    const { log } = world();
    for (let at = 0; at < 300; at++) log.touch(chunkPathOf(at, 0), 'b');
    for (let at = 0; at < 20; at++) log.commit(chunkPathOf(at, 1), at);
    log.supersede(versionOf(1));
    const ownerOf = (shard: number): PeerAddress => (shard < 128 ? A : B);
    const taken = log.take(ownerOf);
    let count = 0;
    for (const [owner, parts] of taken) {
      for (const { shard } of readsOf(parts).values() as Iterable<{ shard: number }>)
        expect(ownerOf(shard)).toBe(owner);
      for (const { shard } of parts.commits) expect(ownerOf(shard)).toBe(owner);
      for (const { hex } of parts.superseded) expect(ownerOf(shardOf(hex))).toBe(owner);
      count += parts.reads.size + parts.commits.length + parts.superseded.length;
    }
    expect(count).toBe(321);
    expect(log.size).toBe(0);
    expect(log.take(ownerOf).size).toBe(0);
  });

  it('has the size of each commit, and the time of each superseded version', () => {
    const { log, time } = world();
    const path = chunkPathOf('c', 3);
    log.commit(path, 8_388_608);
    log.supersede(versionOf('old'));
    time.ms += 5_000;
    log.supersede(versionOf('old'));
    const { commits, superseded } = log.take(() => A).get(A)!;
    expect(commits).toEqual([{ high: keyHigh(path), low: keyLow(path), shard: shardOf(path), sizeBytes: 8_388_608 }]);
    expect(superseded).toEqual([{ hex: versionOf('old'), sinceMs: START * MINUTE }]);
  });

  it('when it is full, calls back once, and adds no more until it is taken', () => {
    const { log, onFull } = world({ maxEntries: 10 });
    for (let at = 0; at < 15; at++) log.touch(chunkPathOf('v', at), 'b');
    log.commit(chunkPathOf('v', 99), 1);
    log.supersede(versionOf('old'));
    expect(onFull).toHaveBeenCalledTimes(1);
    expect(log.size).toBe(10);
    log.take(() => A);
    for (let at = 0; at < 10; at++) log.touch(chunkPathOf('v', at), 'b');
    expect(onFull).toHaveBeenCalledTimes(2);
  });

  it('takes back what could not be sent, and keeps later reads', () => {
    const { log, time } = world();
    const [first, second] = [chunkPathOf('first', 0), chunkPathOf('second', 0)];
    log.touch(first, 'b1');
    log.touch(second, 'b2');
    log.commit(first, 5);
    log.supersede(versionOf('old'));
    const parts = log.take(() => A).get(A)!;
    time.ms += MINUTE;
    log.touch(second, 'b2');
    log.touch(chunkPathOf('third', 0), 'b3');
    log.restore(parts);
    const taken = log.take(() => A).get(A)!;
    expect(readsOf(taken).get(keyOf(first))).toMatchObject({ minute: 0, bucket: 'b1', isProven: false });
    expect(readsOf(taken).get(keyOf(second))).toMatchObject({ minute: 1, bucket: 'b2', isProven: true });
    expect([taken.reads.size, taken.commits.length, taken.superseded.length]).toEqual([3, 1, 1]);
    expect(taken.superseded[0]?.sinceMs).toBe(START * MINUTE);
  });

  it('takes back no more than its limit, and does not ask for a report at once', () => {
    const { log, onFull } = world({ maxEntries: 10 });
    for (let at = 0; at < 9; at++) log.touch(chunkPathOf('v', at), 'b');
    const parts = log.take(() => A).get(A)!;
    for (let at = 0; at < 5; at++) log.touch(chunkPathOf('w', at), 'b');
    log.restore(parts);
    expect(log.size).toBe(10);
    log.touch(chunkPathOf('x', 1), 'b');
    expect(log.size).toBe(10);
    expect(onFull).not.toHaveBeenCalled();
  });

  it('has no more than 10,000 superseded versions', () => {
    const { log } = world();
    for (let at = 0; at < 10_050; at++) log.supersede(versionOf(at));
    expect(log.size).toBe(10_000);
  });
});
