/** What a replica reports to the owner of shards: reads, commits and superseded versions. `POST /internal/reads`. */
import { OrcaError } from '#cache/core/errors.ts';
import { parseBucketNames, type BucketNames } from './bucket-names.ts';
import { VERSION_DIGITS } from './chunk-key.ts';
import { isCount, isEpoch, isOriginId } from './fields.ts';
import { frame, frameBytes, openFrame, type OpenedFrame } from './framing.ts';
import { RECORD_BYTES, RecordRows } from './records.ts';

/** A receiver collects the body before it can authenticate it. */
export const MAX_REPORT_BYTES = 1024 * 1024;

export interface CommittedChunk {
  readonly high: number;
  readonly low: number;
  readonly shard: number;
  readonly sizeBytes: number;
}

export interface SupersededVersion {
  /** The version's 64 hex digits. */
  readonly hex: string;
  readonly sinceMs: number;
}

export interface ReportParts {
  /** The buckets of the numbers in `reads`. */
  readonly buckets: BucketNames;
  readonly reads: RecordRows;
  readonly commits: readonly CommittedChunk[];
  readonly superseded: readonly SupersededVersion[];
}

export interface ReadsReport extends ReportParts {
  readonly originId: string;
  /** The epoch of the sender's view of the replicas. */
  readonly epoch: string;
}

const MAGIC = 'OCR1';
/** The key, 53 bits of the size, and the shard in the uppermost byte. */
const COMMIT_BYTES = 16;
const SHARD_SHIFT = 24;
const HASH_BYTES = VERSION_DIGITS / 2;
/** The hash, and the time as a float. */
const SUPERSEDED_BYTES = HASH_BYTES + 8;
/** Digits of counts, which the header has besides its texts. */
const COUNT_DIGITS = 60;

/** How much of each section a message has. */
interface Counts {
  readonly reads: number;
  readonly commits: number;
  readonly superseded: number;
}

/** As many messages as needed; none for an empty report. */
export function encodeReport(report: ReadsReport): Uint8Array[] {
  const { originId, epoch, buckets, reads, commits, superseded } = report;
  const head = { originId, epoch, buckets: buckets.names };
  const roomBytes = MAX_REPORT_BYTES - frameBytes(head) - COUNT_DIGITS;
  const messages: Uint8Array[] = [];
  let [read, commit, version] = [0, 0, 0];
  while (read < reads.size || commit < commits.length || version < superseded.length) {
    // Superseded versions and commits first: they are few.
    const versions = Math.min(superseded.length - version, Math.floor(roomBytes / SUPERSEDED_BYTES));
    const leftBytes = roomBytes - versions * SUPERSEDED_BYTES;
    const committed = Math.min(commits.length - commit, Math.floor(leftBytes / COMMIT_BYTES));
    const readCount = Math.min(reads.size - read, Math.floor((leftBytes - committed * COMMIT_BYTES) / RECORD_BYTES));
    const counts = { reads: readCount, commits: committed, superseded: versions };
    const framed = frame(MAGIC, { ...head, ...counts }, bodyBytesOf(counts), false);
    reads.encodeInto(framed.view, framed.bodyAt, read, read + readCount);
    let at = framed.bodyAt + readCount * RECORD_BYTES;
    for (const chunk of commits.slice(commit, commit + committed)) at = writeCommit(framed.view, at, chunk);
    for (const one of superseded.slice(version, version + versions)) at = writeSuperseded(framed.view, at, one);
    messages.push(framed.bytes);
    read += readCount;
    commit += committed;
    version += versions;
  }
  return messages;
}

/** Throws `bad_request`. */
export function decodeReport(bytes: Uint8Array): ReadsReport {
  const opened = bytes.length > MAX_REPORT_BYTES ? undefined : openFrame(MAGIC, bytes, false);
  if (opened === undefined) throw malformed('it has no header');
  const { header, view, bodyAt } = opened;
  const { originId, epoch } = header;
  const buckets = parseBucketNames(header['buckets']);
  if (!isOriginId(originId) || !isEpoch(epoch) || buckets === undefined) throw malformed('its header is malformed');
  const counts = countsOf(opened);
  const commitsAt = bodyAt + counts.reads * RECORD_BYTES;
  const supersededAt = commitsAt + counts.commits * COMMIT_BYTES;
  return {
    originId,
    epoch,
    buckets,
    reads: RecordRows.decode(view, bodyAt, counts.reads),
    commits: Array.from({ length: counts.commits }, (_, at) => readCommit(view, commitsAt + at * COMMIT_BYTES)),
    superseded: Array.from({ length: counts.superseded }, (_, at) =>
      readSuperseded(view, supersededAt + at * SUPERSEDED_BYTES),
    ),
  };
}

function countsOf({ header: { reads, commits, superseded }, bodyBytes }: OpenedFrame): Counts {
  if (!isCount(reads) || !isCount(commits) || !isCount(superseded)) throw malformed('a count is missing');
  const counts = { reads, commits, superseded };
  if (bodyBytesOf(counts) !== bodyBytes) throw malformed('its length is not that of its counts');
  return counts;
}

function bodyBytesOf({ reads, commits, superseded }: Counts): number {
  return reads * RECORD_BYTES + commits * COMMIT_BYTES + superseded * SUPERSEDED_BYTES;
}

function writeCommit(view: DataView, at: number, { high, low, shard, sizeBytes }: CommittedChunk): number {
  view.setUint32(at, high, true);
  view.setUint32(at + 4, low, true);
  view.setUint32(at + 8, sizeBytes % 2 ** 32, true);
  view.setUint32(at + 12, ((shard << SHARD_SHIFT) | Math.floor(sizeBytes / 2 ** 32)) >>> 0, true);
  return at + COMMIT_BYTES;
}

function readCommit(view: DataView, at: number): CommittedChunk {
  const last = view.getUint32(at + 12, true);
  const sizeBytes = (last & (2 ** SHARD_SHIFT - 1)) * 2 ** 32 + view.getUint32(at + 8, true);
  if (!isCount(sizeBytes)) throw malformed('the size of a chunk is out of range');
  return {
    high: view.getUint32(at, true),
    low: view.getUint32(at + 4, true),
    shard: last >>> SHARD_SHIFT,
    sizeBytes,
  };
}

function writeSuperseded(view: DataView, at: number, { hex, sinceMs }: SupersededVersion): number {
  Buffer.from(view.buffer, view.byteOffset + at, HASH_BYTES).write(hex, 'hex');
  view.setFloat64(at + HASH_BYTES, sinceMs, true);
  return at + SUPERSEDED_BYTES;
}

function readSuperseded(view: DataView, at: number): SupersededVersion {
  const sinceMs = view.getFloat64(at + HASH_BYTES, true);
  if (!isCount(sinceMs)) throw malformed('a time is out of range');
  return { hex: Buffer.from(view.buffer, view.byteOffset + at, HASH_BYTES).toString('hex'), sinceMs };
}

function malformed(reason: string): OrcaError {
  return new OrcaError('bad_request', `the report of reads cannot be used: ${reason}`);
}
