import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chunkAt, type Chunk } from '#cache/core/chunk.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { blocksOf, creditBytes, fillBytes, isSparse, rangeOfBlocks, SPARSE_BLOCK_BYTES } from '#cache/core/sparse.ts';
import { decideRead, type Evidence } from '#cache/engine/fill/block-evidence.ts';

const KIB = 1024;
const MIB = 1024 * 1024;
const BLOCK = SPARSE_BLOCK_BYTES;

function chunkOf(lengthBytes: number, sizeBytes = 2 * lengthBytes): Chunk {
  return chunkAt({ originId: 'o', bucket: 'b', key: 'k', etag: 'e', sizeBytes }, lengthBytes, 0);
}

/** One chunk with its blocks; what is to be fetched arrives at once. */
function open(chunk: Chunk, mayWiden = true) {
  const runs = new Map<number, true>();
  const evidence: Evidence & { budgetBytes: number } = { runs, sequences: [], budgetBytes: 0 };
  let fetchedBytes = 0;
  let isFilled = false;
  const add = ({ from, to }: ByteRange) => {
    fetchedBytes += to - from;
    evidence.budgetBytes -= to - from;
    const { first, end } = blocksOf({ from, to });
    for (let block = first; block < end; block++) {
      expect(runs.has(block)).toBe(false);
      runs.set(block, true);
    }
  };
  const fill = () => {
    isFilled = true;
    const there = [...runs.keys()]
      .toSorted((a, b) => a - b)
      .map((block) => rangeOfBlocks(block, block + 1, chunk.lengthBytes));
    const merged: { from: number; to: number }[] = [];
    for (const { from, to } of there) {
      const last = merged.at(-1);
      if (last?.to === from) last.to = to;
      else merged.push({ from, to });
    }
    fetchedBytes += fillBytes(chunk.lengthBytes, merged);
  };
  const read = (from: number, length: number) => {
    if (isFilled) return;
    const range = { from, to: Math.min(from + length, chunk.lengthBytes) };
    if (!isSparse(chunk, range)) return fill();
    const decision = decideRead(evidence, chunk, range, mayWiden);
    for (const gap of decision.gaps) add(gap);
    if (decision.ahead !== undefined) add(decision.ahead);
    const { first, end } = blocksOf(range);
    for (let block = first; block < end; block++) expect(runs.has(block)).toBe(true);
    if (decision.fill) fill();
  };
  return {
    read,
    evict: (block: number) => runs.delete(block),
    get fetchedBytes() {
      return fetchedBytes;
    },
    get isFilled() {
      return isFilled;
    },
  };
}

const chunkBytes = fc.constantFrom(MIB, MIB + 5, 3 * MIB, 8 * MIB);

describe('whatever is read', () => {
  test('costs at most one block for each read, four times its bytes, and its last block if it needs one more', () => {
    const reads = fc.array(
      fc.record({
        at: fc.nat(1 << 24),
        length: fc.constantFrom(1, 4 * KIB, 60 * KIB, 100 * KIB),
        goesOn: fc.boolean(),
      }),
      { maxLength: 300 },
    );
    fc.assert(
      fc.property(chunkBytes, reads, fc.array(fc.nat(127), { maxLength: 20 }), (lengthBytes, asked, evicted) => {
        const chunk = open(chunkOf(lengthBytes));
        let creditedBytes = 0;
        let to = 0;
        for (const [number, { at, length, goesOn }] of asked.entries()) {
          const from = goesOn && to + length < lengthBytes ? to : at % (lengthBytes - length);
          to = from + length;
          chunk.read(from, length);
          const { first, end } = blocksOf({ from, to });
          creditedBytes += Math.max(creditBytes({ from, to }), (end - first) * BLOCK);
          const block = evicted[number];
          if (block !== undefined) chunk.evict(block);
          expect(chunk.fetchedBytes).toBeLessThanOrEqual(creditedBytes);
        }
      }),
    );
  });

  test('in sequence fills the chunk, and costs 5 % more than its bytes at most', () => {
    const length = fc.constantFrom(4 * KIB, 5_000, 64 * KIB, 100_000, 256 * KIB);
    fc.assert(
      fc.property(chunkBytes, length, (lengthBytes, readBytes) => {
        const chunk = open(chunkOf(lengthBytes));
        for (let at = 0; at < lengthBytes; at += readBytes) chunk.read(at, readBytes);
        expect(chunk.isFilled).toBe(true);
        expect(chunk.fetchedBytes).toBeLessThanOrEqual(1.05 * lengthBytes);
      }),
    );
  });
});

test('a chunk of 8 MiB is filled when a reader in sequence has read 412 KiB of it in ranges of 4 KiB', () => {
  const chunk = open(chunkOf(8 * MIB));
  let at = 0;
  for (; !chunk.isFilled; at += 4 * KIB) chunk.read(at, 4 * KIB);
  expect(at).toBe(412 * KIB);
  expect(chunk.fetchedBytes).toBe(8 * MIB);
});

test('footers never fill their chunk, however often they are read', () => {
  const chunk = open(chunkOf(8 * MIB, 8 * MIB));
  for (let number = 0; number < 10_000; number++) chunk.read(8 * MIB - 64 * KIB, 64 * KIB);
  expect(chunk.isFilled).toBe(false);
  expect(chunk.fetchedBytes).toBe(BLOCK);
});

test('what a footer has cost is not paid by other reads', () => {
  const chunk = open(chunkOf(MIB, MIB));
  chunk.read(MIB - 100 * KIB, 100 * KIB);
  let reads = 0;
  for (; !chunk.isFilled; reads++) chunk.read(0, 4 * KIB);
  // 1 MiB less the footer's two blocks, and the block that they read, at 80 KiB a read.
  expect(reads).toBe(Math.ceil((1024 - 128) / 80));
});

test('without spare memory nothing is fetched ahead', () => {
  const chunk = open(chunkOf(8 * MIB), false);
  for (let at = 0; at < 4 * BLOCK; at += 4 * KIB) chunk.read(at, 4 * KIB);
  expect(chunk.fetchedBytes).toBe(4 * BLOCK);
});
