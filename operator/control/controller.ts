/** The workers: they take keys from the work queue and reconcile them until the signal aborts. */
import { openApi } from '#operator/reconcile/api.ts';
import type { Outcome } from '#operator/reconcile/outcome.ts';
import type { Reconcile } from '#operator/reconcile/reconcile.ts';
import type { Clock } from '#shared/clock.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { hasStatus } from '#shared/kube/error.ts';
import type { Log } from '#shared/log.ts';
import { LeaseLost } from './lease-lock.ts';
import type { WorkQueue } from './work-queue.ts';

export type ReconcileResult = 'success' | 'requeue_after' | 'stalled' | 'error';

export interface ControllerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  /** The field of log lines that has the key. */
  readonly subject: string;
  readonly queue: WorkQueue;
  readonly reconcile: Reconcile;
  readonly signal: AbortSignal;
  /** Throws if the lease is no longer held. */
  readonly assertHeld?: () => void;
  readonly workers?: number;
  readonly observe?: (result: ReconcileResult, durationMs: number) => void;
}

/** A reconcile mostly waits for the API server; more workers would only queue there. */
export const WORKERS = 4;
/** A reconcile makes about thirty requests of a few milliseconds. If the API server is slower, retry later. */
const RECONCILE_TIMEOUT_MS = 120_000;

/** Resolves when all workers have ended, after the signal. */
export async function runController(options: ControllerOptions): Promise<void> {
  const workers = options.workers ?? WORKERS;
  await Promise.all(Array.from({ length: workers }, () => work(options)));
}

async function work(options: ControllerOptions): Promise<void> {
  const { queue, signal } = options;
  for (;;) {
    const key = await queue.next(signal);
    if (key === undefined) return;
    try {
      await reconcileKey(options, key);
    } finally {
      queue.done(key);
    }
  }
}

async function reconcileKey(options: ControllerOptions, key: string): Promise<void> {
  const { queue, clock, signal, client, observe = () => {} } = options;
  const log = options.log.child({ [options.subject]: key });
  const startMs = clock.now();
  const deadline = new AbortController();
  const cancel = clock.after(RECONCILE_TIMEOUT_MS, () =>
    deadline.abort(new Error(`a reconcile took longer than ${RECONCILE_TIMEOUT_MS} ms`)),
  );
  try {
    const { assertHeld } = options;
    const api = openApi({
      client,
      log,
      signal: AbortSignal.any([signal, deadline.signal]),
      ...(assertHeld === undefined ? {} : { assertHeld }),
    });
    const outcome = await options.reconcile(api, key);
    queue.forget(key);
    if (outcome.kind === 'requeue') queue.addAfter(key, outcome.afterMs);
    observe(resultOf(outcome), clock.now() - startMs);
  } catch (error) {
    if (signal.aborted) return;
    // Another client changed the object that was about to be written; the retry reads it again.
    if (hasStatus(error, 409)) log.debug('write conflict; retrying', { error });
    else if (error instanceof LeaseLost) log.warn('write refused: the lease is not held', { error });
    else log.error('reconcile failed', { error });
    queue.retry(key);
    observe('error', clock.now() - startMs);
  } finally {
    cancel();
  }
}

function resultOf(outcome: Outcome): ReconcileResult {
  if (outcome.kind === 'requeue') return 'requeue_after';
  return outcome.kind === 'stalled' ? 'stalled' : 'success';
}
