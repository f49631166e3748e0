/** The ledger as an object of the store: a header in JSON, records of 16 bytes, and a CRC-32. */
import { parseBucketNames } from './bucket-names.ts';
import { frame, openFrame, seal } from './framing.ts';
import { Ledger, MAX_LEDGER_RECORDS } from './ledger.ts';
import { RECORD_BYTES, RecordRows, RecordTable } from './records.ts';
import { formatSummary, parseSummary } from './shard-summary.ts';

const MAGIC = 'OCL1';

export function encodeLedger({ originId, shard, buckets, records, summary }: Ledger): Uint8Array {
  const header = {
    originId,
    shard,
    buckets: buckets.names,
    summary: summary === undefined ? null : formatSummary(summary),
  };
  const rows = records.rows();
  const framed = frame(MAGIC, header, rows.size * RECORD_BYTES, true);
  rows.encodeInto(framed.view, framed.bodyAt, 0, rows.size);
  return seal(framed);
}

/** Undefined if the bytes are not a ledger of this shard, which is then treated as empty. */
export function decodeLedger(bytes: Uint8Array, originId: string, shard: number): Ledger | undefined {
  const opened = openFrame(MAGIC, bytes, true);
  if (opened === undefined) return undefined;
  const { header, view, bodyAt, bodyBytes } = opened;
  const count = bodyBytes / RECORD_BYTES;
  if (header['originId'] !== originId || header['shard'] !== shard) return undefined;
  if (!Number.isInteger(count) || count > MAX_LEDGER_RECORDS) return undefined;
  const buckets = parseBucketNames(header['buckets']);
  if (buckets === undefined) return undefined;
  const records = new RecordTable(MAX_LEDGER_RECORDS, count);
  RecordRows.decode(view, bodyAt, count).forEach((high, low, minute, meta) => records.set(high, low, minute, meta));
  const ledger = new Ledger(originId, shard, buckets, records);
  // A summary of another release: the shard counts as not swept yet.
  ledger.summary = parseSummary(header['summary']);
  return ledger;
}
