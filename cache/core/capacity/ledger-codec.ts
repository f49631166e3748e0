/** The ledger as an object of the store: magic and version, a header in JSON, records of 16 bytes, and a CRC-32. */
import { OrcaError } from '#cache/core/errors.ts';
import type { Ledger } from './ledger.ts';

export function encodeLedger(_ledger: Ledger): Uint8Array {
  throw new OrcaError('internal', 'later');
}

/** Undefined if the bytes are not a ledger of this shard, which is then treated as empty. */
export function decodeLedger(_bytes: Uint8Array, _originId: string, _shard: number): Ledger | undefined {
  throw new OrcaError('internal', 'later');
}
