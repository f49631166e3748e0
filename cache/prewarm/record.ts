/**
 * The record of a run in the cachestore: `_orca/prewarm/<origin id>/<uid>`, as JSON. A new walker continues from it, and
 * pins are found by it when their resource has been deleted.
 */
import { MAX_FAILURES, type PrewarmFailure } from '#shared/prewarm-report.ts';
import { emptyTally, TALLY_FIELDS, type Tally } from './tally.ts';

/** Keys that wait for another attempt: with keys of 1 KiB the record has 1 MiB. If more fail, the cause is not the key. */
export const MAX_RETRIES = 1000;
/** More than `MAX_RETRIES` of the longest keys in JSON. */
const MAX_RECORD_BYTES = 16 * 1024 * 1024;
const MAX_TEXT_LENGTH = 4096;
const VERSION = 1;

export interface Retry {
  /** The number of the target. */
  readonly target: number;
  readonly key: string;
  /** How often it has failed. */
  readonly attempts: number;
  readonly reason: string;
  /** Counted in `totalBytes`. */
  readonly sizeBytes: number;
}

export interface PinRecord {
  readonly state: 'none' | 'pinned' | 'refused';
  /** The pin of this run; '' = none. */
  readonly name: string;
  readonly sizeBytes: number;
  /** The pin of the run before, which is removed when this one is complete; '' = none. */
  readonly previous: string;
  /** Why it was refused. */
  readonly message: string;
}

export interface RunRecord {
  /** `<namespace>/<name>` of the cache: others may use the same cachestore. */
  readonly cache: string;
  readonly uid: string;
  readonly name: string;
  readonly run: number;
  readonly state: 'running' | 'finished';
  /** The replica that wrote it. */
  readonly writer: string;
  /** The number of the target, or their count. */
  readonly target: number;
  /** All before this position of the target is done; the target knows what it means. */
  readonly after: string;
  /** The figures at the position. */
  readonly tally: Readonly<Tally>;
  /** Bytes that were read from the origin for chunks which are not in `tally`: they will be found in the cachestore. */
  readonly carriedBytes: number;
  readonly listed: boolean;
  readonly retries: readonly Retry[];
  readonly failures: readonly PrewarmFailure[];
  readonly pin: PinRecord;
}

export const NO_PIN: PinRecord = { state: 'none', name: '', sizeBytes: 0, previous: '', message: '' };

export function encodeRecord(record: RunRecord): Uint8Array {
  return Buffer.from(JSON.stringify({ version: VERSION, ...record }), 'utf8');
}

/** Undefined for anything that `encodeRecord` does not write. */
export function decodeRecord(bytes: Uint8Array): RunRecord | undefined {
  if (bytes.length > MAX_RECORD_BYTES) return undefined;
  const raw = fieldsOf(parsed(bytes));
  const { cache, uid, name, run, state, writer, target, after, carriedBytes, listed } = raw;
  const tally = tallyOf(raw['tally']);
  const retries = listOf(raw['retries'], MAX_RETRIES, retryOf);
  const failures = listOf(raw['failures'], MAX_FAILURES, failureOf);
  const pin = pinOf(raw['pin']);
  const isValid =
    raw['version'] === VERSION &&
    [cache, uid, name, writer].every(isText) &&
    isCount(run) &&
    isCount(target) &&
    typeof after === 'string' &&
    isCount(carriedBytes);
  if (!isValid || (state !== 'running' && state !== 'finished')) return undefined;
  if (tally === undefined || retries === undefined || failures === undefined || pin === undefined) return undefined;
  return {
    ...({ cache, uid, name, writer } as { cache: string; uid: string; name: string; writer: string }),
    run,
    state,
    target,
    after,
    tally,
    carriedBytes,
    listed: listed === true,
    retries,
    failures,
    pin,
  };
}

type Fields = Readonly<Record<string, unknown>>;

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT_LENGTH;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function listOf<T>(value: unknown, maxItems: number, itemOf: (raw: Fields) => T | undefined): T[] | undefined {
  if (!Array.isArray(value) || value.length > maxItems) return undefined;
  const items = value.map((item) => itemOf(fieldsOf(item)));
  return items.includes(undefined) ? undefined : (items as T[]);
}

function tallyOf(value: unknown): Tally | undefined {
  const raw = fieldsOf(value);
  const tally = emptyTally();
  for (const field of TALLY_FIELDS) {
    const count = raw[field];
    if (!isCount(count)) return undefined;
    tally[field] = count;
  }
  return tally;
}

function retryOf({ target, key, attempts, reason, sizeBytes }: Fields): Retry | undefined {
  if (!isCount(target) || !isText(key) || !isCount(attempts) || !isText(reason) || !isCount(sizeBytes))
    return undefined;
  return { target, key, attempts, reason, sizeBytes };
}

function failureOf({ key, reason }: Fields): PrewarmFailure | undefined {
  return isText(key) && isText(reason) ? { key, reason } : undefined;
}

function pinOf(value: unknown): PinRecord | undefined {
  const { state, name, sizeBytes, previous, message } = fieldsOf(value);
  if (state !== 'none' && state !== 'pinned' && state !== 'refused') return undefined;
  if (!isText(name) || !isCount(sizeBytes) || !isText(previous) || !isText(message)) return undefined;
  return { state, name, sizeBytes, previous, message };
}
