/**
 * What a cachestore's conditional writes are worth, judged by what it answered when they were tried and raced; and the
 * note of it that spares the other replicas the race.
 */

/** One conditional write's outcome: 412 is `taken`, 409 in spite of patience `conflict`, 501 `unsupported`. */
export type Offer = 'won' | 'taken' | 'conflict' | 'unsupported' | 'open'; // open: the connection broke, nobody knows

/** What was found to be other than it was written. */
export type StoreProblem = 'bytes' | 'range' | 'metadata' | 'delete';

export interface StoreFindings {
  /** Of a name that nobody had. */
  readonly first: Offer;
  /** Of the same name, which then was taken. */
  readonly again: Offer;
  /** Of many writers that began together; undefined where the first two have decided. */
  readonly race?: {
    readonly offers: readonly Offer[];
    /** The writer whose bytes stand; undefined = nobody's. */
    readonly standing: number | undefined;
  };
  readonly problems: readonly StoreProblem[];
  /** Undefined = it does not say. */
  readonly versioned: boolean | undefined;
}

export const CONDITIONS = ['atomic', 'racy', 'ignored', 'unsupported', 'conflicting'] as const;
/** Only an atomic one decides who has won; with any other a commit looks first, and identical bytes make a race harmless. */
export type Condition = (typeof CONDITIONS)[number];

/** Undefined = not proven, one way or the other. */
export function judge({ first, again, race }: StoreFindings): Condition | undefined {
  const all = [first, again, ...(race?.offers ?? [])];
  if (all.includes('unsupported')) return 'unsupported';
  if (again === 'won') return 'ignored';
  const winners = (race?.offers ?? []).flatMap((offer, writer) => (offer === 'won' ? [writer] : []));
  if (winners.length > 1) return 'racy';
  if (all.includes('conflict')) return 'conflicting';
  if (race === undefined || winners.length === 0) return undefined;
  if (winners[0] !== race.standing) return 'racy';
  // A store that answers early and closes shows as a reset to many of those who lose: who is let in is answered.
  return race.offers.includes('taken') ? 'atomic' : undefined;
}

const SAYS: Readonly<Record<Condition, string>> = {
  atomic: 'exactly one of many writers wins',
  racy: 'several of many writers won: commits look first',
  ignored: 'the store ignores the condition: commits look first',
  unsupported: 'the store does not know the condition: commits look first',
  conflicting: 'the store answers conflicts without end: commits look first',
};

const PROBLEMS: Readonly<Record<StoreProblem, string>> = {
  bytes: 'other bytes came back than were written',
  range: 'ranges are not honoured',
  metadata: 'metadata is not kept',
  delete: 'what was written could not be deleted',
};

export interface StoreVerdict {
  readonly condition: Condition;
  readonly problems: readonly StoreProblem[];
  readonly versioned: boolean | undefined;
  /** Milliseconds since the epoch, by the clock of the machine that probed. */
  readonly probedAtMs: number;
}

/** One line a person can act on. */
export function describeVerdict({ condition, problems }: StoreVerdict): string {
  return [`${condition}: ${SAYS[condition]}`, ...problems.map((problem) => PROBLEMS[problem])].join('; ');
}

/** A store that is upgraded, or another behind the same name, is found out by the next day. */
export const VERDICT_KEPT_MS = 24 * 60 * 60_000;
/** Machines' clocks differ by less. */
const MAX_SKEW_MS = 5 * 60_000;
const FORMAT = 1;

export function encodeVerdict(verdict: StoreVerdict): Uint8Array {
  return Buffer.from(JSON.stringify({ format: FORMAT, ...verdict }));
}

/** Undefined for what is too old, from the future, or of another format. */
export function decodeVerdict(bytes: Uint8Array, nowMs: number): StoreVerdict | undefined {
  const fields = parsed(bytes);
  const { format, probedAtMs, versioned } = fields;
  const condition = CONDITIONS.find((known) => known === fields['condition']);
  if (format !== FORMAT || condition === undefined || typeof probedAtMs !== 'number') return undefined;
  const ageMs = nowMs - probedAtMs;
  if (!(ageMs < VERDICT_KEPT_MS && ageMs > -MAX_SKEW_MS)) return undefined;
  const listed: unknown[] = Array.isArray(fields['problems']) ? fields['problems'] : [];
  const problems = (Object.keys(PROBLEMS) as StoreProblem[]).filter((problem) => listed.includes(problem));
  return { condition, problems, versioned: typeof versioned === 'boolean' ? versioned : undefined, probedAtMs };
}

function parsed(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch (error) {
    // Not ours: as good as none.
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
