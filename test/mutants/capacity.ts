import type { Mutant } from './mutants.ts';

const CORE = 'cache/core/capacity';
const TESTS = 'test/cache/core/capacity';

/** Bugs in the figures and formats of a bounded cachestore. */
export const CAPACITY_MUTANTS: readonly Mutant[] = [
  {
    name: 'all chunks of a version have one key',
    file: `${CORE}/chunk-key.ts`,
    search: 'return (word ^ Math.imul(index, GOLDEN)) >>> 0;',
    replace: 'return word >>> 0;',
    tests: [`${TESTS}/chunk-key.test.ts`],
  },
  {
    name: 'an index with a leading zero is a chunk',
    file: `${CORE}/chunk-key.ts`,
    search: 'if (digits > 1 && name.charCodeAt(slash + 1) === ZERO) return undefined;',
    replace: '',
    tests: [`${TESTS}/chunk-key.test.ts`],
  },
  {
    name: 'a deletion leaves a gap in a chain of records',
    file: `${CORE}/records.ts`,
    search: 'if (((slot - home) & mask) < ((slot - free) & mask)) continue;',
    replace: 'if (((slot - home) & mask) <= ((slot - free) & mask)) continue;',
    tests: [`${TESTS}/records.test.ts`],
  },
  {
    name: 'an earlier read that is reported late replaces the last one',
    file: `${CORE}/records.ts`,
    search: 'this.#write(at, Math.max(known, minute), (base',
    replace: 'this.#write(at, minute, (base',
    tests: [`${TESTS}/records.test.ts`],
  },
  {
    name: 'a full table drops the newest records',
    file: `${CORE}/records.ts`,
    search: 'minute <= limit && left-- > 0 ? undefined',
    replace: 'minute > limit && left-- > 0 ? undefined',
    tests: [`${TESTS}/records.test.ts`],
  },
  {
    name: 'a sweep drops the records of chunks that were read while it was under way',
    file: `${CORE}/ledger.ts`,
    search: 'if ((meta & SEEN) === 0 && minute < startedMinute) return undefined;',
    replace: 'if ((meta & SEEN) === 0) return undefined;',
    tests: [`${TESTS}/ledger.test.ts`],
  },
  {
    name: 'a replica whose clock is ahead protects its chunks',
    file: `${CORE}/ledger.ts`,
    search: 'Math.min(read.minute, nowMinute)',
    replace: 'read.minute',
    tests: [`${TESTS}/ledger.test.ts`],
  },
  {
    name: 'an entry of a histogram stands for later bytes',
    file: `${CORE}/histogram.ts`,
    search: 'minute: entry.minute,\n        provenBytes: group.provenBytes + entry.provenBytes,',
    replace: 'minute: group.minute || entry.minute,\n        provenBytes: group.provenBytes + entry.provenBytes,',
    tests: [`${TESTS}/histogram.test.ts`],
  },
  {
    name: 'a chunk that was read once ages like any other',
    file: `${CORE}/cutoff.ts`,
    search: 'return isProven ? minute : now - ONCE_SPEED * (now - minute);',
    replace: 'return isProven || now > 0 ? minute : now;',
    tests: [`${TESTS}/cutoff.test.ts`],
  },
  {
    name: 'eviction ends at the high watermark',
    file: `${CORE}/cutoff.ts`,
    search: 'isEvicting ? usedBytes - lowBytes : 0',
    replace: 'isEvicting ? usedBytes - highBytes : 0',
    tests: [`${TESTS}/cutoff.test.ts`],
  },
  {
    name: 'a ledger of another shard is read',
    file: `${CORE}/ledger-codec.ts`,
    search: "if (header['originId'] !== originId || header['shard'] !== shard) return undefined;",
    replace: "if (header['originId'] !== originId) return undefined;",
    tests: [`${TESTS}/ledger.test.ts`],
  },
  {
    name: 'pins that are not sorted are read',
    file: `${CORE}/pins.ts`,
    search: 'if (compare(words, pair - 1, words[pair * 2]!, words[pair * 2 + 1]!) >= 0) return undefined;',
    replace: ';',
    tests: [`${TESTS}/pins.test.ts`],
  },
  {
    name: 'a report of a wrong length is read',
    file: `${CORE}/report-codec.ts`,
    search: "if (bodyBytesOf(counts) !== bodyBytes) throw malformed('its length is not that of its counts');",
    replace: "if (bodyBytesOf(counts) > bodyBytes) throw malformed('its length is not that of its counts');",
    tests: [`${TESTS}/report-codec.test.ts`],
  },
  {
    name: 'a report that could not be sent replaces later reads',
    file: 'cache/engine/capacity/read-log.ts',
    search: 'this.#reads.merge(high, low, minute, metaOf(shardOfMeta(meta), bucket, isProven(meta)));',
    replace: 'this.#reads.set(high, low, minute, metaOf(shardOfMeta(meta), bucket, isProven(meta)));',
    tests: ['test/cache/engine/capacity/read-log.test.ts'],
  },
  {
    name: 'a full log asks for a report with each read',
    file: 'cache/engine/capacity/read-log.ts',
    search: 'this.#isFull = true;\n    this.#options.onFull();',
    replace: 'this.#options.onFull();',
    tests: ['test/cache/engine/capacity/read-log.test.ts'],
  },
  {
    name: 'a sweep pauses because a full store takes no ledger',
    file: 'cache/engine/capacity/sweeper.ts',
    search: 'await ledger.save(signal).catch(ignoreFull);',
    replace: 'await ledger.save(signal);',
    tests: ['test/cache/engine/capacity/capacity.test.ts'],
  },
  {
    name: 'the size of a file system is asked for every five minutes only',
    file: 'cache/engine/capacity/store-usage.ts',
    search: 'isDone ? EVERY_MS : RETRY_MS',
    replace: 'isDone ? EVERY_MS : EVERY_MS',
    tests: ['test/cache/engine/capacity/capacity.test.ts'],
  },
];
