/** What a leader does for as long as its term lasts: a queue, the watches that fill it, the workers that empty it. */
import type { Metrics } from '#operator/http/metrics.ts';
import type { Reconcile } from '#operator/reconcile/reconcile.ts';
import type { Clock } from '#shared/clock.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import type { Log } from '#shared/log.ts';
import { runController } from './controller.ts';
import type { Term } from './election.ts';
import { openSources } from './sources.ts';
import { WorkQueue } from './work-queue.ts';

export interface TermsOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  /** Empty = all. */
  readonly namespaces: readonly string[];
  readonly metrics: Metrics;
  /** Of its own for each term: what the last one remembers may be old. */
  readonly openWork: (addKey: (key: string) => void) => Work;
}

export interface Work {
  readonly reconcile: Reconcile;
  /** What goes on beside the reconciles, until the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export interface Terms {
  /** Resolves when nothing of it goes on, after the term's signal. */
  lead(term: Term): Promise<void>;
  /** Every collection has been listed once in the present term; undefined outside of one. */
  synced(): boolean | undefined;
}

/** Reconciles wait for the API server most of the time; more at once would only queue there. */
const WORKERS = 4;

export function openTerms(options: TermsOptions): Terms {
  const { client, clock, log, namespaces, metrics } = options;
  let queue: WorkQueue | undefined;
  let synced: (() => boolean) | undefined;
  metrics.watchQueue(() => queue, WORKERS);

  return {
    synced: () => synced?.(),
    async lead({ signal, assertHeld }) {
      const current = new WorkQueue({ clock, observe: metrics.queueObserver });
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
        workers: WORKERS,
        observe: metrics.reconciled,
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
