/** Pinned versions of one shard, an object of the store for each pin: sorted 8-byte prefixes of the versions' hashes. */
import { OrcaError } from '#cache/core/errors.ts';

/** 1 MiB: a pin of 33 million objects in 256 shards. */
export const MAX_PINNED_VERSIONS = 131_072;

export interface PinHeader {
  readonly name: string;
  /** Null = until it is removed. */
  readonly expiresMs: number | null;
  /** Of all its chunks in this shard. */
  readonly bytes: number;
}

export class PinSet {
  readonly header: PinHeader;

  /** Throws `invalid_argument` for too many versions. */
  constructor(header: PinHeader, _versionHexes: Iterable<string>) {
    this.header = header;
  }

  get size(): number {
    throw new OrcaError('internal', 'later');
  }

  /** `versionHex` has 64 hex digits, of which the first 16 count. */
  has(_versionHex: string): boolean {
    throw new OrcaError('internal', 'later');
  }

  encode(): Uint8Array {
    throw new OrcaError('internal', 'later');
  }

  /** Undefined for anything that `encode` does not return. The caller must not evict from a shard with such an object. */
  static decode(_bytes: Uint8Array): PinSet | undefined {
    throw new OrcaError('internal', 'later');
  }
}

/** A name of a pin: lower-case letters, digits, hyphens and dots, at most 63 characters. */
export function isPinName(_name: string): boolean {
  throw new OrcaError('internal', 'later');
}

/** `_orca/pins/<name>/<xx>` */
export function pinObjectName(_name: string, _shard: number): string {
  throw new OrcaError('internal', 'later');
}

/** Undefined for a name that is not `_orca/pins/<name>/<xx>`. */
export function parsePinObjectName(_objectName: string): { readonly name: string; readonly shard: number } | undefined {
  throw new OrcaError('internal', 'later');
}

/** All pins are listed with it. */
export const PINS_PREFIX = '_orca/pins/';
