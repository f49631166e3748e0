/**
 * Leader election: at most one replica of the operator works, the holder of the Lease. It leads for a term. When the
 * term ends, for whatever reason, its work is stopped, and the process becomes a candidate again.
 */
import type { Clock } from '#shared/clock.ts';
import type { Log } from '#shared/log.ts';
import { LeaseLost, type LeaseLock } from './lease-lock.ts';

export interface Term {
  /** Aborts when the term ends. */
  readonly signal: AbortSignal;
  /** Throws after the end of the term, even before the signal has aborted. */
  readonly assertHeld: () => void;
}

export interface ElectionOptions {
  readonly lease: LeaseLock;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Works until the term's signal aborts; resolves when all of its work has ended. */
  readonly lead: (term: Term) => Promise<void>;
  /** Called with true when a term begins, and with false when its work has ended or another candidate leads. */
  readonly observe?: (isLeader: boolean) => void;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** How often a holder renews the lease and a candidate checks it. */
const RETRY_MS = 2000;
/** Candidates check up to this share earlier, at different times, so that a released lease is taken within 2 s. */
const CANDIDATE_JITTER = 0.5;
/** Aborted work ends within milliseconds. Work that still runs after this time hangs; only a process exit stops it. */
const END_OF_WORK_MS = 5000;

/** Resolves after the signal, when the work has ended and the lease is released. Rejects if the work fails or hangs. */
export async function runElection(options: ElectionOptions): Promise<void> {
  const { lease, clock, log, signal } = options;
  const random = options.random ?? Math.random;
  let lastError = '';
  while (!signal.aborted) {
    try {
      if (await lease.hold()) await serveTerm(options);
      options.observe?.(false);
      lastError = '';
    } catch (error) {
      if (error instanceof WorkFailed) throw error;
      if (signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      if (message !== lastError) log.warn('failed to read or acquire the lease', { error });
      lastError = message;
    }
    await pause(clock, RETRY_MS * (1 - CANDIDATE_JITTER * random()), signal);
  }
}

class WorkFailed extends Error {}

async function serveTerm(options: ElectionOptions): Promise<void> {
  const { lease, clock, log, signal, observe = () => {} } = options;
  const term = new AbortController();
  const ended = AbortSignal.any([signal, term.signal]);
  log.info('became leader');
  observe(true);
  const work = options.lead({ signal: ended, assertHeld: () => lease.assertHeld() });
  // A failure of the work ends the term; it is rethrown below.
  work.catch((error: unknown) => term.abort(error));
  const reason = await renewUntilLost(options, ended);
  term.abort(new LeaseLost(reason));
  if (!(await endsInTime(clock, work)))
    throw new WorkFailed(`the work of an ended term is still running after ${END_OF_WORK_MS} ms`);
  if (signal.aborted) log.info('gave up leadership: stopping');
  else log.warn('lost leadership', { reason });
  await lease.release().catch((error: unknown) => {
    log.warn('failed to release the lease; other candidates wait until it expires', { error });
  });
  await work.catch((cause: unknown) => {
    throw new WorkFailed('the work failed', { cause });
  });
}

/** Renews the lease until the term ends. Resolves with the reason. */
async function renewUntilLost({ lease, clock, log }: ElectionOptions, ended: AbortSignal): Promise<string> {
  for (;;) {
    await pause(clock, Math.min(RETRY_MS, Math.max(lease.leftMs, 0)), ended);
    if (ended.aborted) return 'the work has ended';
    if (lease.leftMs <= 0) return 'the lease was not renewed in time';
    try {
      if (!(await lease.hold())) return 'another candidate holds the lease';
    } catch (error) {
      if (!ended.aborted) log.warn('failed to renew the lease', { leftMs: lease.leftMs, error });
    }
  }
}

function endsInTime(clock: Clock, work: Promise<void>): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = clock.after(END_OF_WORK_MS, () => resolve(false));
    const settle = (): void => {
      cancel();
      resolve(true);
    };
    // Success or failure does not matter here; the caller awaits `work` itself.
    work.then(settle, settle);
  });
}

async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  await clock.sleep(ms, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
