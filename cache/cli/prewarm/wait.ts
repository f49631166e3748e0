/** Waits until a prewarm has ended, and shows its progress meanwhile. */
import { hasStatus, KubeError } from '#shared/kube/error.ts';
import type { Clock } from '#shared/clock.ts';
import type { Prewarms } from '#cache/cli/cluster/cluster.ts';
import { CliError } from '#cache/cli/frame/errors.ts';
import type { Fields } from '#cache/cli/replies/fields.ts';
import type { Refine } from './live.ts';
import type { ProgressDisplay } from './progress.ts';
import { stateOf, type PrewarmState } from './state.ts';

export interface WaitOptions {
  readonly prewarms: Prewarms;
  readonly name: string;
  readonly clock: Clock;
  /** Ctrl-C. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly display: ProgressDisplay;
  /** Adds newer figures for the display. */
  readonly refine: Refine;
}

export interface Waited {
  readonly end: 'complete' | 'failed' | 'stalled' | 'late' | 'interrupted';
  /** The last one; undefined = interrupted before the first response. */
  readonly state: PrewarmState | undefined;
}

/** An API server that is restarted or upgraded is back within this time. */
const OUTAGE_MS = 120_000;
/** The operator's message while all is well. */
const NO_NEWS = /^run \d+ is in progress$/;
/** The operator looks within a second. */
const UNSEEN_MS = 15_000;

export async function waitForPrewarm(options: WaitOptions): Promise<Waited> {
  const { clock, signal, timeoutMs, display, refine, name } = options;
  const startedMs = clock.now();
  let state: PrewarmState | undefined;
  try {
    for (;;) {
      state = await nextState(options, state?.uid);
      display.update(await refine(state), clock.date());
      const { message } = state;
      const end = endOf(state);
      if (end !== undefined) return { end, state };
      if (message !== '' && !NO_NEWS.test(message)) display.note(`${name}: ${message}`);
      if (!state.isSeen && clock.now() - startedMs >= UNSEEN_MS)
        display.note(`${name}: the operator has not looked at it yet. Is it running, and of a release with prewarms?`);
      if (clock.now() - startedMs >= timeoutMs) return { end: 'late', state };
      await clock.sleep(display.intervalMs, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    return { end: 'interrupted', state };
  } finally {
    display.end();
  }
}

/** Undefined = not yet. A scheduled one has ended when it waits for its next run. */
function endOf({ phase, runs }: PrewarmState): Waited['end'] | undefined {
  if (phase === 'Complete') return 'complete';
  if (phase === 'Failed') return 'failed';
  // The operator has given a missing reference time to appear.
  if (phase === 'Stalled') return 'stalled';
  return phase === 'Scheduled' && runs > 0 ? 'complete' : undefined;
}

/** Repeats the request for as long as an API server may be unavailable. */
async function nextState(
  { prewarms, name, clock, signal, display }: WaitOptions,
  uid: string | undefined,
): Promise<PrewarmState> {
  const startedMs = clock.now();
  for (;;) {
    try {
      const state = stateOf(await prewarms.get(name, signal));
      if (uid === undefined || state.uid === uid) return state;
      throw new CliError(`${name} was deleted, and another one with this name was created`);
    } catch (error) {
      if (uid !== undefined && hasStatus(error, 404)) throw new CliError(`${name} was deleted`, error);
      if (!isTransient(error) || clock.now() - startedMs >= OUTAGE_MS) throw error;
      display.note(`the API server does not answer: ${error.message}`);
    }
    await clock.sleep(display.intervalMs, signal);
  }
}

function isTransient(error: unknown): error is KubeError {
  if (!(error instanceof KubeError)) return false;
  const { status, reason } = error;
  return status >= 500 || status === 429 || (status === 0 && reason !== 'Credentials' && reason !== 'Malformed');
}

/** The API server's 404 of one resource, in the words of this program. */
export async function getPrewarm(prewarms: Prewarms, name: string, signal: AbortSignal): Promise<Fields> {
  try {
    return await prewarms.get(name, signal);
  } catch (error) {
    if (!hasStatus(error, 404)) throw error;
    throw new CliError(
      `there is no orcaprewarm '${name}' in this namespace: kubectl get orcaprewarms shows all`,
      error,
    );
  }
}
