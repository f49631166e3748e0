/** `/status` of several workers as that of one replica: what is worst counts, memory is added up. */

/** The parts of a worker's `/status` that differ between workers; all other fields are the first worker's. */
export interface WorkerStatus {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, { readonly ok: boolean; readonly message: string }>>;
  readonly runtime: { readonly problems: readonly string[] };
  readonly identity: { readonly state: string; readonly message: string };
  readonly origin: Readonly<Record<string, { readonly state: string; readonly message: string }>>;
  readonly originBreakers: Readonly<Record<string, string>>;
  readonly store: {
    readonly breaker: string;
    readonly full: boolean;
    readonly condition: string;
    readonly message: string;
    readonly problems: readonly string[];
    readonly versioned?: boolean;
    readonly hung: number;
  };
  readonly capacity: Readonly<Record<string, unknown>>;
  readonly peers: { readonly self: string; readonly staleMs: number };
  readonly memory: Readonly<Record<string, number>>;
}

/** The best first. An unknown value counts as worst. */
const IDENTITY_STATES = ['ours', 'unknown', 'conflict'];
const PROBE_STATES = ['unknown', 'reachable', 'list_denied', 'failed'];
const BREAKER_STATES = ['closed', 'probing', 'open'];

export function mergeStatus(statuses: readonly [WorkerStatus, ...WorkerStatus[]]): WorkerStatus {
  const [first] = statuses;
  const all = <T>(read: (status: WorkerStatus) => T): T[] => statuses.map(read);
  const known = statuses.find(({ store }) => store.condition !== 'unknown')?.store ?? first.store;
  return {
    ...first,
    ready: statuses.every(({ ready }) => ready),
    checks: mergeRecords(
      all(({ checks }) => checks),
      (checks) => checks.find(({ ok }) => !ok) ?? checks[0],
    ),
    runtime: { problems: union(all(({ runtime }) => runtime.problems)) },
    identity: worst(
      all(({ identity }) => identity),
      ({ state }) => state,
      IDENTITY_STATES,
    ),
    origin: mergeRecords(
      all(({ origin }) => origin),
      (probes) => worst(probes, ({ state }) => state, PROBE_STATES),
    ),
    originBreakers: mergeRecords(
      all(({ originBreakers }) => originBreakers),
      (states) => worst(states, (state) => state, BREAKER_STATES),
    ),
    store: {
      ...known,
      breaker: worst(
        all(({ store }) => store.breaker),
        (state) => state,
        BREAKER_STATES,
      ),
      full: statuses.some(({ store }) => store.full),
      problems: union(all(({ store }) => store.problems)),
      ...(statuses.some(({ store }) => store.versioned === true) && { versioned: true }),
      hung: sum(all(({ store }) => store.hung)),
    },
    // A worker that has just been started does not know all shards yet.
    capacity: (statuses.find(({ capacity }) => capacity['state'] !== 'counting') ?? first).capacity,
    peers: { ...first.peers, staleMs: Math.max(...all(({ peers }) => peers.staleMs)) },
    memory: mergeRecords(
      all(({ memory }) => memory),
      sum,
    ),
  };
}

type List<T> = readonly [T, ...T[]];

/** Merges the values of each key, in the order in which the keys appear. */
function mergeRecords<T>(
  records: readonly Readonly<Record<string, T>>[],
  merge: (values: List<T>) => T,
): Readonly<Record<string, T>> {
  const byKey = new Map<string, List<T>>();
  for (const record of records)
    for (const [key, value] of Object.entries(record)) {
      const before = byKey.get(key);
      byKey.set(key, before === undefined ? [value] : [...before, value]);
    }
  return Object.fromEntries([...byKey].map(([key, values]) => [key, merge(values)]));
}

function worst<T>(values: readonly T[], stateOf: (value: T) => string, order: readonly string[]): T {
  const rank = (value: T): number => (order.indexOf(stateOf(value)) + order.length + 1) % (order.length + 1);
  return values.reduce((a, b) => (rank(b) > rank(a) ? b : a));
}

function union(lists: readonly (readonly string[])[]): readonly string[] {
  return [...new Set(lists.flat())];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
