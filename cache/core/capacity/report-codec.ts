/** What a replica tells the owner of shards: reads, commits and superseded versions. `POST /internal/reads`. */
import { OrcaError } from '#cache/core/errors.ts';
import type { BucketNames } from './bucket-names.ts';
import type { RecordRows } from './records.ts';

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
  /** Of the sender's view of the replicas. */
  readonly epoch: string;
}

/** As many messages as needed. */
export function encodeReport(_report: ReadsReport): Uint8Array[] {
  throw new OrcaError('internal', 'later');
}

/** Throws `bad_request`. */
export function decodeReport(_bytes: Uint8Array): ReadsReport {
  throw new OrcaError('internal', 'later');
}
