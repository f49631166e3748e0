/**
 * Single-line bugs that a test must detect; `hack/mutate` applies them. The simulation has mutations of its own, in
 * test/simulation/mutations.ts, for bugs that only a schedule of events reveals.
 */
import type { Edit } from '#test/simulation/edits.ts';
import { ANSWER_MUTANTS } from './answers.ts';
import { CAPACITY_MUTANTS } from './capacity.ts';
import { CLI_MUTANTS } from './cli.ts';
import { CONNECTION_MUTANTS } from './connections.ts';
import { CORE_MUTANTS } from './core.ts';
import { CRD_MUTANTS } from './crds.ts';
import { ENGINE_MUTANTS } from './engine.ts';
import { FILE_THREAD_MUTANTS } from './file-threads.ts';
import { FRESHNESS_MUTANTS } from './freshness.ts';
import { OPERATOR_MUTANTS } from './operator.ts';
import { PREWARM_OPERATOR_MUTANTS } from './prewarm-operator.ts';
import { PREWARM_WALKER_MUTANTS } from './prewarm-walker.ts';
import { STORE_MUTANTS } from './stores.ts';
import { UPSTREAM_MUTANTS } from './upstream.ts';
import { WORKER_MUTANTS } from './workers.ts';

export interface Mutant extends Edit {
  /** What the program does wrong. */
  readonly name: string;
  /** Which tests must notice, as filters for vitest. Default: the unit tests that mirror the file's folder. */
  readonly tests?: readonly string[];
  /** Default: `unit`. */
  readonly project?: string;
}

export const MUTANTS: readonly Mutant[] = [
  ...ANSWER_MUTANTS,
  ...CAPACITY_MUTANTS,
  ...CLI_MUTANTS,
  ...CORE_MUTANTS,
  ...CRD_MUTANTS,
  ...CONNECTION_MUTANTS,
  ...ENGINE_MUTANTS,
  ...FILE_THREAD_MUTANTS,
  ...UPSTREAM_MUTANTS,
  ...STORE_MUTANTS,
  ...FRESHNESS_MUTANTS,
  ...OPERATOR_MUTANTS,
  ...PREWARM_OPERATOR_MUTANTS,
  ...PREWARM_WALKER_MUTANTS,
  ...WORKER_MUTANTS,
];

export function selectionOf({ file, tests, project = 'unit' }: Mutant): {
  readonly project: string;
  readonly filters: readonly string[];
} {
  return { project, filters: tests ?? [`test/${file.slice(0, file.lastIndexOf('/') + 1)}`] };
}
