/**
 * Judges from a probe whether the cachestore's conditional writes (`If-None-Match: *`) are atomic. The verdict is stored
 * as a note in the cachestore, so that other replicas need not probe.
 */

/** The outcome of one conditional write: `taken` is 412, `conflict` is 409 after all retries, `unsupported` is 501. */
export type PutOutcome = 'won' | 'taken' | 'conflict' | 'unsupported' | 'unknown'; // unknown: the connection closed

/** A deviation from what was written. */
export type StoreProblem = 'bytes' | 'range' | 'metadata' | 'list' | 'delete';

/** Without them a store still holds chunks; only what is old cannot be removed. */
export const MAINTENANCE_PROBLEMS: ReadonlySet<StoreProblem> = new Set(['list', 'delete']);

export interface StoreFindings {
  /** The first write of a new name. */
  readonly first: PutOutcome;
  /** A second write of the same name. */
  readonly second: PutOutcome;
  /** Concurrent writes of another name; undefined if the first two writes were conclusive. */
  readonly race?: {
    readonly outcomes: readonly PutOutcome[];
    /** The writer whose bytes were stored; undefined = no writer's. */
    readonly storedWriter: number | undefined;
  };
  readonly problems: readonly StoreProblem[];
  /** Whether the bucket keeps versions; undefined = the store does not report it. */
  readonly versioned: boolean | undefined;
}

export const CONDITIONAL_WRITE_SUPPORT = ['atomic', 'racy', 'ignored', 'unsupported', 'conflicting'] as const;
/**
 * Only with `atomic` does a conditional write decide which replica wins a commit. Otherwise a commit checks first; a race
 * is then harmless, because all replicas write identical bytes.
 */
export type ConditionalWriteSupport = (typeof CONDITIONAL_WRITE_SUPPORT)[number];

/** Undefined = the findings are inconclusive. */
export function judgeConditionalWrites({ first, second, race }: StoreFindings): ConditionalWriteSupport | undefined {
  const all = [first, second, ...(race?.outcomes ?? [])];
  if (all.includes('unsupported')) return 'unsupported';
  if (second === 'won') return 'ignored';
  const winners = (race?.outcomes ?? []).flatMap((outcome, writer) => (outcome === 'won' ? [writer] : []));
  if (winners.length > 1) return 'racy';
  if (all.includes('conflict')) return 'conflicting';
  if (race === undefined || winners.length === 0) return undefined;
  if (winners[0] !== race.storedWriter) return 'racy';
  // A store that responds early and closes resets the connections of many losers. One 412 is enough: the winner is
  // known, because a successful write always gets its response.
  return race.outcomes.includes('taken') ? 'atomic' : undefined;
}

const SUPPORT_TEXT: Readonly<Record<ConditionalWriteSupport, string>> = {
  atomic: 'exactly one of many writers wins',
  racy: 'several of many writers won; commits check before they write',
  ignored: 'the store ignores the condition; commits check before they write',
  unsupported: 'the store does not support the condition; commits check before they write',
  conflicting: 'the store keeps returning conflicts; commits check before they write',
};

const PROBLEM_TEXT: Readonly<Record<StoreProblem, string>> = {
  bytes: 'the store returned other bytes than were written',
  range: 'the store does not honor Range requests',
  metadata: 'the store does not keep metadata',
  list: 'the store did not list the probe object, so that no chunk can be evicted',
  delete: 'the store did not delete the probe object, so that no chunk can be evicted',
};

export interface StoreVerdict {
  readonly condition: ConditionalWriteSupport;
  readonly problems: readonly StoreProblem[];
  readonly versioned: boolean | undefined;
  /** Milliseconds since the epoch, by the clock of the node that probed. */
  readonly probedAtMs: number;
}

/** One line for logs and status messages. */
export function describeVerdict({ condition, problems }: StoreVerdict): string {
  return [`${condition}: ${SUPPORT_TEXT[condition]}`, ...problems.map((problem) => PROBLEM_TEXT[problem])].join('; ');
}

/** A store that was upgraded or replaced is probed again within a day. */
export const VERDICT_KEPT_MS = 24 * 60 * 60_000;
/** New permissions should be noticed before a user searches for another cause; a probe moves 128 MiB at most. */
const DENIAL_KEPT_MS = 60 * 60_000;
/** An upper limit of the clock difference between nodes. */
const MAX_SKEW_MS = 5 * 60_000;
const FORMAT = 1;

export function verdictKeptMs({ problems }: Pick<StoreVerdict, 'problems'>): number {
  return problems.some((problem) => MAINTENANCE_PROBLEMS.has(problem)) ? DENIAL_KEPT_MS : VERDICT_KEPT_MS;
}

export function encodeVerdict(verdict: StoreVerdict): Uint8Array {
  return Buffer.from(JSON.stringify({ format: FORMAT, ...verdict }));
}

/** Undefined for a note that is too old, from the future, or of another format. */
export function decodeVerdict(bytes: Uint8Array, nowMs: number): StoreVerdict | undefined {
  const fields = parseObject(bytes);
  const { format, probedAtMs, versioned } = fields;
  const condition = CONDITIONAL_WRITE_SUPPORT.find((known) => known === fields['condition']);
  if (format !== FORMAT || condition === undefined || typeof probedAtMs !== 'number') return undefined;
  const listed: unknown[] = Array.isArray(fields['problems']) ? fields['problems'] : [];
  const problems = (Object.keys(PROBLEM_TEXT) as StoreProblem[]).filter((problem) => listed.includes(problem));
  const ageMs = nowMs - probedAtMs;
  if (!(ageMs < verdictKeptMs({ problems }) && ageMs > -MAX_SKEW_MS)) return undefined;
  return { condition, problems, versioned: typeof versioned === 'boolean' ? versioned : undefined, probedAtMs };
}

function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch (error) {
    // Not JSON: treated as no note.
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
