/** Keeps the record of a run up to date while it is walked. */
import type { Clock } from '#cache/engine/ports.ts';
import type { Log } from '#shared/log.ts';
import type { Position } from './progress.ts';
import { NO_PIN, type RunRecord } from './record.ts';
import type { Records } from './records.ts';
import type { PrewarmRun } from './resource.ts';
import type { RunPin } from './run-pin.ts';

/** The objects since then are looked for again by the next walker, if this one is killed. */
const SAVE_EVERY_MS = 15_000;
/** At a handover the replica may be about to end. */
const HANDOVER_MS = 2_000;
/** Between attempts to write a record. */
const WRITE_AGAIN_MS = 2_000;

export interface RecordKeeperOptions {
  readonly run: PrewarmRun;
  readonly cache: string;
  /** The address of this replica. */
  readonly self: () => string;
  readonly records: Records;
  readonly pin: RunPin | undefined;
  readonly state: () => Position & Pick<RunRecord, 'listed'>;
  readonly clock: Clock;
  readonly log: Log;
}

export class RecordKeeper {
  readonly #options: RecordKeeperOptions;
  #isDropped = false;

  constructor(options: RecordKeeperOptions) {
    this.#options = options;
  }

  /** Nothing more is written. */
  drop(): void {
    this.#isDropped = true;
  }

  /** Until the signal aborts. Never rejects. */
  async saveNowAndThen(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      const isSaved = await this.#isSaved(signal);
      await clock.sleep(isSaved ? SAVE_EVERY_MS : WRITE_AGAIN_MS, signal).catch(() => {});
    }
  }

  /** The walk ends here and continues elsewhere. Never rejects. */
  async handOver(): Promise<void> {
    const late = new AbortController();
    const cancel = this.#options.clock.after(HANDOVER_MS, () => late.abort(new Error('the handover took too long')));
    const isSaved = await this.#isSaved(late.signal);
    cancel();
    if (!isSaved) this.#options.log.info('prewarm: the handover was not recorded', this.#facts());
  }

  /** Records the end of the run, as often as it takes. Rejects when the signal aborts. */
  async finish(signal: AbortSignal): Promise<void> {
    const { pin, clock, log } = this.#options;
    for (;;) {
      try {
        await pin?.flush(signal);
        await pin?.finish(signal);
        return await this.#write('finished', signal, this.#options.state());
      } catch (error) {
        signal.throwIfAborted();
        log.warn('prewarm: the end of a run cannot be recorded', { ...this.#facts(), error });
        await clock.sleep(WRITE_AGAIN_MS, signal);
      }
    }
  }

  async #isSaved(signal: AbortSignal): Promise<boolean> {
    if (this.#isDropped) return true;
    try {
      // The pin first: what is before the recorded position is pinned.
      const state = this.#options.state();
      await this.#options.pin?.flush(signal);
      await this.#write('running', signal, state);
      return true;
    } catch (error) {
      if (!signal.aborted)
        this.#options.log.warn('prewarm: the progress of a run cannot be recorded', { ...this.#facts(), error });
      return false;
    }
  }

  async #write(
    state: RunRecord['state'],
    signal: AbortSignal,
    position: Position & Pick<RunRecord, 'listed'>,
  ): Promise<void> {
    if (this.#isDropped) return;
    const { cache, self, records, pin, run } = this.#options;
    const header = { cache, uid: run.uid, name: run.name, run: run.run, state, writer: self() };
    await records.write({ ...header, ...position, pin: pin?.record ?? NO_PIN }, signal);
  }

  #facts() {
    const { name, run } = this.#options.run;
    return { prewarm: name, run };
  }
}
