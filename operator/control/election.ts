/**
 * At most one of the operator's replicas works: whoever holds the LeaseLock. It leads for a term; when the term is over, for
 * whatever reason, the work is ended and the process stands for the next one.
 */
import type { Clock } from '#shared/clock.ts';
import type { Log } from '#shared/log.ts';
import { LeaseLost, type LeaseLock } from './lease-lock.ts';

export interface Term {
  /** Aborts when the term is over. */
  readonly signal: AbortSignal;
  /** Throws when it is over, also where the abort has not come through yet. */
  readonly assertHeld: () => void;
}

export interface ElectionOptions {
  readonly lease: LeaseLock;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Works until the signal of the term aborts, and resolves when nothing of it goes on. */
  readonly lead: (term: Term) => Promise<void>;
  /** Called with true when a term begins, and with false when its work has ended or another is found to lead. */
  readonly observe?: (leads: boolean) => void;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** How often a holder renews and the others look. */
const RETRY_MS = 2000;
/** Candidates look somewhat earlier, each at its own times: so that a released lease has a new holder within 2 s. */
const CANDIDATE_JITTER = 0.5;
/** Aborted work ends within milliseconds. What does not end by then hangs, and only the end of the process stops it. */
const END_OF_WORK_MS = 5000;

/** Resolves after the signal, when the work has ended and the lease is released; rejects where work fails or doesn't end. */
export async function runElection(options: ElectionOptions): Promise<void> {
  const { lease, clock, log, signal } = options;
  const random = options.random ?? Math.random;
  let complaint = '';
  while (!signal.aborted) {
    try {
      if (await lease.hold()) await serve(options);
      options.observe?.(false);
      complaint = '';
    } catch (error) {
      if (error instanceof WorkFailed) throw error;
      if (signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      if (message !== complaint) log.warn('the lease can’t be asked for', { error });
      complaint = message;
    }
    await pause(clock, RETRY_MS * (1 - CANDIDATE_JITTER * random()), signal);
  }
}

class WorkFailed extends Error {}

async function serve(options: ElectionOptions): Promise<void> {
  const { lease, clock, log, signal, observe = () => {} } = options;
  const term = new AbortController();
  const over = AbortSignal.any([signal, term.signal]);
  log.info('leads now');
  observe(true);
  const work = options.lead({ signal: over, assertHeld: () => lease.assertHeld() });
  // Nobody else waits for it until the term is over.
  work.catch((error: unknown) => term.abort(error));
  const why = await keep(options, over);
  term.abort(new LeaseLost(why));
  if (!(await endsInTime(clock, work)))
    throw new WorkFailed(`the work of an ended term still goes on after ${END_OF_WORK_MS} ms`);
  if (signal.aborted) log.info('leads no longer: stopping');
  else log.warn('leads no longer', { why });
  await lease.release().catch((error: unknown) => {
    log.warn('the lease could not be released; others wait until it has expired', { error });
  });
  await work.catch((cause: unknown) => {
    throw new WorkFailed('the work failed', { cause });
  });
}

/** Renews until it can't any more, and says why. */
async function keep({ lease, clock, log }: ElectionOptions, over: AbortSignal): Promise<string> {
  for (;;) {
    await pause(clock, Math.min(RETRY_MS, Math.max(lease.leftMs, 0)), over);
    if (over.aborted) return 'the work has ended';
    if (lease.leftMs <= 0) return 'the lease could not be renewed in time';
    try {
      if (!(await lease.hold())) return 'another holds the lease';
    } catch (error) {
      if (!over.aborted) log.warn('the lease could not be renewed', { leftMs: lease.leftMs, error });
    }
  }
}

function endsInTime(clock: Clock, work: Promise<void>): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = clock.after(END_OF_WORK_MS, () => resolve(false));
    const ended = (): void => {
      cancel();
      resolve(true);
    };
    // How it ended is for the one who awaits it.
    work.then(ended, ended);
  });
}

async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  await clock.sleep(ms, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
