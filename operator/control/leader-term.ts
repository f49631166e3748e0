/** The work of a leader during its term: the queue, the watches that fill it, and the workers that drain it. */
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
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export interface LeaderTerms {
  /** Resolves after the term's signal, when all of the work has ended. */
  lead(term: Term): Promise<void>;
  /** Whether every collection has been listed in the current term; undefined outside a term. */
  synced(): boolean | undefined;
}

export function openLeaderTerms(options: LeaderTermsOptions): LeaderTerms {
  const { client, clock, log, namespaces, observer } = options;
  let queue: WorkQueue | undefined;
  let synced: (() => boolean) | undefined;
  observer.watchQueue(() => queue, WORKERS);

  return {
    synced: () => synced?.(),
    async lead({ signal, assertHeld }) {
      const current = new WorkQueue({ clock, observe: observer.queueObserver });
      queue = current;
      const sources = openSources({ client, clock, log, queue: current, namespaces, signal });
      synced = () => sources.synced();
      const work = options.openWork((key) => current.add(key));
      const controller = runController({
        client,
        clock,
        log,
        queue: current,
        reconcile: work.reconcile,
        signal,
        assertHeld,
        observe: observer.reconciled,
      });
      try {
        await Promise.all([controller, sources.ended, work.run(signal)]);
      } finally {
        current.close();
        queue = undefined;
        synced = undefined;
      }
    },
  };
}
