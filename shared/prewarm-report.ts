/**
 * `GET /prewarms` of a cache pod: what the run of a prewarm has done so far. The operator and `kubectl orca` read it, from
 * pods of older and newer releases too.
 */

export interface PrewarmReport {
  readonly uid: string;
  readonly name: string;
  readonly run: number;
  readonly state: 'running' | 'finished';
  /** Listing is complete: the totals are final. */
  readonly listed: boolean;
  readonly objects: { readonly total: number; readonly done: number; readonly failed: number };
  /**
   * In bytes. `fromOrigin`: fetched for this run. `alreadyStored`: found in the cachestore. `done`: of chunks that are
   * stored now, by this run or before it.
   */
  readonly bytes: {
    readonly total: number;
    readonly done: number;
    readonly fromOrigin: number;
    readonly alreadyStored: number;
  };
  /** How fast `bytes.done` has grown in the last 15 s. */
  readonly bytesPerSecond: number;
  /** The first ten. */
  readonly failures: readonly PrewarmFailure[];
  readonly pin: 'none' | 'pinned' | 'refused';
  /** Why it makes no progress, or why the pin was refused; '' = nothing. */
  readonly message: string;
}

export interface PrewarmFailure {
  readonly key: string;
  readonly reason: string;
}

export const PREWARMS_PATH = '/prewarms';
/** What the status of a resource can hold and a person can read. */
export const MAX_FAILURES = 10;
/** A replica walks a few at once; this bounds what a faulty pod can send. */
export const MAX_REPORTS = 100;
/** S3's limit of a key, in bytes, which is at least its number of characters. */
const MAX_KEY_LENGTH = 1024;
const MAX_TEXT_LENGTH = 1024;

/** Reports without a uid or a run are left out, and what is missing in one counts as nothing. Throws if it is not JSON. */
export function parsePrewarmReports(json: string): PrewarmReport[] {
  const reports: PrewarmReport[] = [];
  for (const value of arrayOf(recordOf(JSON.parse(json))['prewarms'])) {
    const report = reportOf(recordOf(value));
    if (report !== undefined) reports.push(report);
    if (reports.length === MAX_REPORTS) break;
  }
  return reports;
}

function reportOf(raw: Readonly<Record<string, unknown>>): PrewarmReport | undefined {
  const uid = textOf(raw['uid']);
  const run = countOf(raw['run']);
  if (uid === '' || run === 0) return undefined;
  const objects = recordOf(raw['objects']);
  const bytes = recordOf(raw['bytes']);
  return {
    uid,
    name: textOf(raw['name']),
    run,
    state: raw['state'] === 'finished' ? 'finished' : 'running',
    listed: raw['listed'] === true,
    objects: { total: countOf(objects['total']), done: countOf(objects['done']), failed: countOf(objects['failed']) },
    bytes: {
      total: countOf(bytes['total']),
      done: countOf(bytes['done']),
      fromOrigin: countOf(bytes['fromOrigin']),
      alreadyStored: countOf(bytes['alreadyStored']),
    },
    bytesPerSecond: countOf(raw['bytesPerSecond']),
    failures: arrayOf(raw['failures']).slice(0, MAX_FAILURES).map(failureOf),
    pin: pinOf(raw['pin']),
    message: textOf(raw['message']),
  };
}

function failureOf(value: unknown): PrewarmFailure {
  const raw = recordOf(value);
  return { key: textOf(raw['key'], MAX_KEY_LENGTH), reason: textOf(raw['reason']) };
}

function pinOf(value: unknown): PrewarmReport['pin'] {
  return value === 'pinned' || value === 'refused' ? value : 'none';
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function arrayOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function textOf(value: unknown, maxLength = MAX_TEXT_LENGTH): string {
  return typeof value === 'string' ? value.slice(0, maxLength) : '';
}

/** A number that JavaScript and int64 hold exactly. */
function countOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value)
    ? Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.round(value)))
    : 0;
}
