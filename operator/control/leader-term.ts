/** The work of a leader during its term: for each controller the queue, the watches that fill it, and the workers. */
import type { Collection } from '#operator/api/collection.ts';
import type { Reconcile } from '#operator/reconcile/reconcile.ts';
import type { Clock } from '#shared/clock.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import type { Log } from '#shared/log.ts';
import { runController, WORKERS, type ReconcileResult } from './controller.ts';
import type { Term } from './election.ts';
import { openSources } from './sources.ts';
import { WorkQueue, type QueueObserver } from './work-queue.ts';

export interface LeaderTermsOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  /** Empty = all. */
  readonly namespaces: readonly string[];
  readonly controllers: readonly Controller[];
}

/** A kind of object that is reconciled. */
export interface Controller {
  /** The field of log lines that has the key. */
  readonly subject: string;
  readonly collections: readonly Collection[];
  readonly observer: TermObserver;
  /** Opened for each term: state from an earlier term may be outdated. */
  readonly openWork: (addKey: (key: string) => void) => Work;
}

export interface TermObserver {
  readonly queueObserver: QueueObserver;
  readonly reconciled: (result: ReconcileResult, durationMs: number) => void;
  /** `queue` returns undefined while this process does not lead. */
  watchQueue(queue: () => WorkQueue | undefined, workers: number): void;
}

export interface Work {
  readonly reconcile: Reconcile;
  /** Background work beside the reconciles, until the signal aborts. */
  readonly run?: (signal: AbortSignal) => Promise<void>;
}

export interface LeaderTerms {
  /** Resolves after the term's signal, when all of the work has ended. */
  lead(term: Term): Promise<void>;
  /** Whether every collection has been listed in the current term; undefined outside a term. */
  synced(): boolean | undefined;
}

interface Run {
  synced(): boolean;
  readonly ended: Promise<void>;
}

export function openLeaderTerms(options: LeaderTermsOptions): LeaderTerms {
  const controllers = options.controllers.map((controller) => openController(options, controller));
  let runs: readonly Run[] | undefined;
  return {
    synced: () => runs?.every((run) => run.synced()),
    async lead(term) {
      runs = controllers.map((controller) => controller.start(term));
      try {
        await Promise.all(runs.map(({ ended }) => ended));
      } finally {
        runs = undefined;
      }
    },
  };
}

function openController(options: LeaderTermsOptions, controller: Controller): { start(term: Term): Run } {
  const { client, clock, log, namespaces } = options;
  const { observer, collections, subject } = controller;
  let queue: WorkQueue | undefined;
  observer.watchQueue(() => queue, WORKERS);
  return {
    start({ signal, assertHeld }) {
      const current = new WorkQueue({ clock, observe: observer.queueObserver });
      queue = current;
      const sources = openSources({ client, clock, log, queue: current, collections, namespaces, signal });
      const { reconcile, run = async () => {} } = controller.openWork((key) => current.add(key));
      const workers = runController({
        client,
        clock,
        log,
        subject,
        queue: current,
        reconcile,
        signal,
        assertHeld,
        observe: observer.reconciled,
      });
      const ended = Promise.all([workers, sources.ended, run(signal)]).finally(() => {
        current.close();
        queue = undefined;
      });
      return { synced: () => sources.synced(), ended: ended.then(() => {}) };
    },
  };
}
