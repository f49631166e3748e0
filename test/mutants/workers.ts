import type { Mutant } from './mutants.ts';

const SLOT = 'cache/workers/worker-slot.ts';
const OPS = 'cache/workers/ops-app.ts';
const METRICS = 'cache/workers/merge-metrics.ts';
const LIVENESS = 'cache/peers/heartbeat/liveness-thread.ts';
const tests = ['test/cache/workers/'];
const livenessTests = ['test/cache/peers/heartbeat/'];

/** Bugs in the supervision of workers and of the liveness thread, and in the ops API that workers have together. */
export const WORKER_MUTANTS: readonly Mutant[] = [
  {
    name: 'a worker that cannot start is started again forever',
    file: SLOT,
    search: 'if (!this.#hasBeenReady || exit.code === CONFIG_EXIT_CODE) {',
    replace: 'if (exit.code === CONFIG_EXIT_CODE) {',
    tests,
  },
  {
    name: 'the pause between two starts never becomes short again',
    file: SLOT,
    search: 'backoffMs = BACKOFF_INITIAL_MS;\n      log',
    replace: 'backoffMs = BACKOFF_MAX_MS;\n      log',
    tests,
  },
  {
    name: 'a late response does not count as a sign of life',
    file: SLOT,
    search: '#onMessage(message: FromWorker): void {\n    this.#missedPings = 0;',
    replace: '#onMessage(message: FromWorker): void {',
    tests,
  },
  {
    name: 'a pod is unready while one of its workers is started again',
    file: OPS,
    search: "['running', 'restarting'].includes(slot.state())",
    replace: "['running'].includes(slot.state())",
    tests,
  },
  {
    name: 'counters fall when a worker ends',
    file: METRICS,
    search: "last.filter(({ type }) => type === 'counter' || type === 'histogram')",
    replace: 'last.filter(() => false)',
    tests,
  },
  {
    name: 'gauges of a worker that has ended stay in the sums',
    file: METRICS,
    search: "last.filter(({ type }) => type === 'counter' || type === 'histogram')",
    replace: 'last',
    tests,
  },
  {
    name: 'a liveness thread that ends at once is always started again after a second',
    file: LIVENESS,
    search: 'if (listenedMs >= STEADY_MS)',
    replace: "if (this.#state === 'listening')",
    tests: livenessTests,
  },
  {
    name: 'a liveness thread that was steady keeps its last backoff',
    file: LIVENESS,
    search: 'if (listenedMs >= STEADY_MS)',
    replace: 'if (listenedMs < 0)',
    tests: livenessTests,
  },
  {
    name: 'a liveness thread that cannot be started ends the process',
    file: LIVENESS,
    search: 'return this.#ended(undefined, String(error));',
    replace: 'throw error;',
    tests: livenessTests,
  },
  {
    name: 'a liveness thread that hangs at its start is not noticed',
    file: LIVENESS,
    search: 'if (this.#turns % CHECK_TURNS === 0 && this.#worker !== undefined)',
    replace: "if (this.#turns % CHECK_TURNS === 0 && this.#worker !== undefined && this.#state === 'listening')",
    tests: livenessTests,
  },
  {
    name: 'a liveness thread keeps the first keys',
    file: LIVENESS,
    search: 'if (keys !== this.#keys) {',
    replace: 'if (keys === undefined) {',
    tests: livenessTests,
  },
];
