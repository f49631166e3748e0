/**
 * What this replica has served, committed and found superseded since its last report. `touch` is called for every piece
 * of a body, so it costs a look-up in a table, and a write only once a chunk and minute.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { ReportParts } from '#cache/core/capacity/report-codec.ts';
import type { Clock, PeerAddress } from '#cache/engine/ports.ts';

/** 3 MB. As many chunks as a replica reads in a minute at 20 GB/s in pieces of 6 MB. */
export const MAX_LOG_ENTRIES = 200_000;

export interface ReadLogOptions {
  readonly originId: string;
  readonly clock: Clock;
  /** Called once when the log is full; further entries are dropped until `take`. */
  readonly onFull: () => void;
}

export class ReadLog {
  readonly options: ReadLogOptions;

  constructor(options: ReadLogOptions) {
    this.options = options;
  }

  get size(): number {
    throw new OrcaError('internal', 'later');
  }

  /** A client reads the chunk. */
  touch(_path: string, _bucket: string): void {
    throw new OrcaError('internal', 'later');
  }

  /** This replica has committed the chunk. */
  commit(_path: string, _sizeBytes: number): void {
    throw new OrcaError('internal', 'later');
  }

  /** A newer version of the object is known. `versionHex`: the 64 hex digits of the old version's chunks. */
  supersede(_versionHex: string): void {
    throw new OrcaError('internal', 'later');
  }

  /** Everything since the last call, by the owner of its shard. */
  take(_ownerOf: (shard: number) => PeerAddress): Map<PeerAddress, ReportParts> {
    throw new OrcaError('internal', 'later');
  }

  /** Puts back what could not be sent. */
  restore(_parts: ReportParts): void {
    throw new OrcaError('internal', 'later');
  }
}
