/** Reads a pod's report. Pods may be of an older or a newer version: what is missing is not known, and no mistake. */
import type { PodReport, StoreReport } from '#operator/api/observed.ts';

type Words = Readonly<Record<string, unknown>>;

/** Throws where it is no JSON object. */
export function parsePodReport(json: string): PodReport {
  const report: unknown = JSON.parse(json);
  if (!isWords(report)) throw new TypeError('a report that is no object');
  const identity = wordsOf(report['identity']);
  const { mistakes } = wordsOf(report['runtime']);
  const { origin, originBreakers, store } = report;
  return {
    failing: members(report['checks']).flatMap(([name, { ok, message }]) =>
      ok === false ? [`${name}: ${text(message)}`] : [],
    ),
    buckets: isWords(origin)
      ? members(origin).map(([name, { state, message }]) => ({ name, state: text(state), message: text(message) }))
      : undefined,
    brokenBuckets: Object.keys(wordsOf(originBreakers)),
    store: isWords(store) ? storeOf(store) : undefined,
    runtimeProblems: Array.isArray(mistakes) ? mistakes.map(text) : undefined,
    identityConflict: identity['state'] === 'conflict' ? text(identity['message']) : undefined,
  };
}

function storeOf({ breaker, full, condition, message, problems, versioned }: Words): StoreReport {
  return {
    breaker: text(breaker),
    full: full === true,
    condition: text(condition),
    message: text(message),
    problems: Array.isArray(problems) ? problems.map(text) : [],
    versioned: versioned === true,
  };
}

function members(value: unknown): readonly (readonly [string, Words])[] {
  return Object.entries(wordsOf(value)).map(([name, member]) => [name, wordsOf(member)]);
}

function wordsOf(value: unknown): Words {
  return isWords(value) ? value : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function isWords(value: unknown): value is Words {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
