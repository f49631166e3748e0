/** Parses a pod's report. Pods may run an older or newer version: absent or unexpected fields count as not reported. */
import type { PodReport, StoreReport } from '#operator/api/observed.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Throws if the report is not a JSON object. */
export function parsePodReport(json: string): PodReport {
  const report: unknown = JSON.parse(json);
  if (!isFields(report)) throw new TypeError('the report is not a JSON object');
  const identity = fieldsOf(report['identity']);
  const runtime = fieldsOf(report['runtime']);
  // Older pods use the former name of the field.
  const problems = runtime['problems'] ?? runtime['mistakes'];
  const { origin, originBreakers, store } = report;
  return {
    failing: entriesOf(report['checks']).flatMap(([name, { ok, message }]) =>
      ok === false ? [`${name}: ${text(message)}`] : [],
    ),
    buckets: isFields(origin)
      ? entriesOf(origin).map(([name, { state, message }]) => ({ name, state: text(state), message: text(message) }))
      : undefined,
    brokenBuckets: Object.keys(fieldsOf(originBreakers)),
    store: isFields(store) ? storeReport(store) : undefined,
    runtimeProblems: Array.isArray(problems) ? problems.map(text) : undefined,
    identityConflict: identity['state'] === 'conflict' ? text(identity['message']) : undefined,
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

function entriesOf(value: unknown): readonly (readonly [string, Fields])[] {
  return Object.entries(fieldsOf(value)).map(([name, entry]) => [name, fieldsOf(entry)]);
}

function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
