/** Parses a pod's report. Pods may run an older or newer version: absent or unexpected fields count as not reported. */
import { MAX_WORKERS } from '#crds/names.ts';
import type { CapacityReport, PodReport, StoreReport, WorkerReport } from '#operator/api/observed.ts';

type Fields = Readonly<Record<string, unknown>>;

const MINUTE_MS = 60_000;
const IDENTIFIER = /^[a-z_]*$/;

/** Throws if the report is not a JSON object. */
export function parsePodReport(json: string): PodReport {
  const report: unknown = JSON.parse(json);
  if (!isFields(report)) throw new TypeError('the report is not a JSON object');
  const identity = fieldsOf(report['identity']);
  const runtime = fieldsOf(report['runtime']);
  // Older pods use the former name of the field.
  const problems = runtime['problems'] ?? runtime['mistakes'];
  const { origin, originBreakers, store, capacity, workers } = report;
  return {
    failing: entriesOf(report['checks']).flatMap(([name, { ok, message }]) =>
      ok === false ? [`${name}: ${text(message)}`] : [],
    ),
    buckets: isFields(origin)
      ? entriesOf(origin).map(([name, { state, message }]) => ({ name, state: text(state), message: text(message) }))
      : undefined,
    brokenBuckets: Object.keys(fieldsOf(originBreakers)),
    store: isFields(store) ? storeReport(store) : undefined,
    capacity: isFields(capacity) ? capacityReport(capacity) : undefined,
    runtimeProblems: Array.isArray(problems) ? problems.map(text) : undefined,
    identityConflict: identity['state'] === 'conflict' ? text(identity['message']) : undefined,
    workers: Array.isArray(workers) ? workers.slice(0, MAX_WORKERS).flatMap(workerReport) : [],
  };
}

function storeReport({ breaker, full, condition, message, problems, versioned, hung }: Fields): StoreReport {
  return {
    breaker: text(breaker),
    full: full === true,
    condition: text(condition),
    message: text(message),
    problems: Array.isArray(problems) ? problems.map(text) : [],
    versioned: versioned === true,
    // A replica of an older release does not report it.
    hung: typeof hung === 'number' ? hung : 0,
  };
}

function workerReport(worker: unknown): readonly WorkerReport[] {
  const { index, restarts } = fieldsOf(worker);
  return isCount(index) && isCount(restarts) ? [{ index, restarts }] : [];
}

/** Undefined without the figures that the status requires. */
function capacityReport(fields: Fields): CapacityReport | undefined {
  const { state, usedBytes, chunks, blocked, evictionDenied } = fields;
  if (!isCount(usedBytes) || !isCount(chunks)) return undefined;
  const optional = (name: string): number | undefined => (isCount(fields[name]) ? fields[name] : undefined);
  const oldestReadMinute = optional('oldestReadMinute');
  // An identifier is why eviction does not reach its goal; a sentence is why it cannot begin.
  const isIdentifier = IDENTIFIER.test(text(blocked));
  return {
    state: text(state),
    usedBytes,
    chunks,
    pinnedBytes: optional('pinnedBytes') ?? 0,
    capacityBytes: optional('capacityBytes'),
    foreignBytes: optional('foreignBytes') ?? 0,
    oldestReadMs: oldestReadMinute === undefined ? undefined : oldestReadMinute * MINUTE_MS,
    lastSweepMs: optional('lastSweepMs'),
    oldestSweepMs: optional('oldestSweepMs'),
    blocked: isIdentifier ? text(blocked) : '',
    evictionDenied: text(evictionDenied) || (isIdentifier ? '' : text(blocked)),
  };
}

function entriesOf(value: unknown): readonly (readonly [string, Fields])[] {
  return Object.entries(fieldsOf(value)).map(([name, entry]) => [name, fieldsOf(entry)]);
}

function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
