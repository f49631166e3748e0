/**
 * Which runs this replica walks: of each wanted run the replica that ranks first for it. Walks start and end as resources
 * and the cluster change.
 */
import { rankPeers } from '#cache/core/rendezvous.ts';
import type { Clock, PeerView } from '#cache/engine/ports.ts';
import type { PrewarmReport } from '#shared/prewarm-report.ts';
import { fullJitter } from '#shared/backoff.ts';
import type { Log } from '#shared/log.ts';
import { openSemaphore, type WithPermit } from '#shared/semaphore.ts';
import type { RunRecord } from './record.ts';
import type { Records } from './records.ts';
import { reportOf } from './report.ts';
import { wantedRun, type PrewarmResource, type PrewarmRun } from './resource.ts';
import { emptyTally } from './tally.ts';

/** Each walk has its own chunks at once; further runs wait for one to end. */
const MAX_WALKS = 8;
/** Longer than a handover takes from the replica that walked before. */
const HANDOVER_MS = 1_000;
const BACKOFF = { initialMs: 1_000, maxMs: 30_000 };

/** A walk, as this file needs it. */
export interface Walking {
  report(): PrewarmReport;
  update(run: PrewarmRun): void;
  drop(): void;
  walk(signal: AbortSignal): Promise<void>;
}

export interface LeadOptions {
  readonly peers: Pick<PeerView, 'current'>;
  readonly records: Records;
  readonly open: (run: PrewarmRun, resumed: RunRecord | undefined, previous: RunRecord | undefined) => Walking;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}

interface Led {
  run: PrewarmRun;
  readonly stop: AbortController;
  /** Undefined before the record is read, and for a run that was finished before. */
  walking: Walking | undefined;
  report: () => PrewarmReport;
  ended: Promise<void>;
}

export class Lead {
  readonly #options: LeadOptions;
  readonly #withPermit: WithPermit = openSemaphore(MAX_WALKS);
  readonly #led = new Map<string, Led>();
  /** Walks that are ending. */
  readonly #ending = new Map<string, Promise<void>>();
  #resources: ReadonlyMap<string, PrewarmResource> = new Map();
  #isClosed = false;

  constructor(options: LeadOptions) {
    this.#options = options;
  }

  get resources(): ReadonlyMap<string, PrewarmResource> {
    return this.#resources;
  }

  get count(): number {
    return this.#led.size;
  }

  /** One for each run that this replica walks, or has finished while it is still wanted. */
  reports(): PrewarmReport[] {
    return [...this.#led.values()].map(({ report }) => report());
  }

  /** Whether this replica ranks first for a name. */
  isFirst(name: string): boolean {
    const { self, owners } = this.#options.peers.current();
    return rankPeers(name, owners, 1)[0] === self;
  }

  /** The resources have changed. */
  update(resources: ReadonlyMap<string, PrewarmResource>): void {
    this.#resources = resources;
    this.reconsider();
  }

  /** The cluster has changed. */
  reconsider(): void {
    if (this.#isClosed) return;
    const wanted = new Map<string, PrewarmRun>();
    for (const [uid, resource] of this.#resources) {
      const run = wantedRun(resource);
      if (run !== undefined && this.isFirst(`_orca/prewarm/${uid}`)) wanted.set(uid, run);
    }
    for (const [uid, led] of this.#led) {
      const run = wanted.get(uid);
      if (run?.run === led.run.run) this.#change(led, run);
      else this.#stop(uid, led);
    }
    for (const [uid, run] of wanted) if (!this.#led.has(uid)) this.#start(uid, run);
  }

  /** Resolves when no walk of this resource runs here. Its record is not written any more. */
  async dropped(uid: string): Promise<void> {
    const led = this.#led.get(uid);
    led?.walking?.drop();
    if (led !== undefined) this.#stop(uid, led);
    await this.#ending.get(uid);
  }

  /** Ends all walks, which record how far they have come. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const [uid, led] of this.#led) this.#stop(uid, led);
    await Promise.all(this.#ending.values());
  }

  #change(led: Led, run: PrewarmRun): void {
    led.run = run;
    led.walking?.update(run);
  }

  #stop(uid: string, led: Led): void {
    this.#led.delete(uid);
    if (!this.#resources.has(uid)) led.walking?.drop();
    led.stop.abort(new Error('the run is not wanted here any more'));
    const ending = led.ended.finally(() => {
      if (this.#ending.get(uid) === ending) this.#ending.delete(uid);
    });
    this.#ending.set(uid, ending);
  }

  #start(uid: string, run: PrewarmRun): void {
    const stop = new AbortController();
    const led: Led = { run, stop, walking: undefined, report: () => waiting(led.run, ''), ended: Promise.resolve() };
    const before = this.#ending.get(uid) ?? Promise.resolve();
    this.#led.set(uid, led);
    led.ended = before
      .then(() => this.#walkAgainAndAgain(led))
      .catch((error: unknown) => {
        if (!stop.signal.aborted)
          this.#options.log.error('prewarm: a walk ended unexpectedly', { prewarm: run.name, error });
      });
  }

  /** Until the run is finished or not wanted here. */
  async #walkAgainAndAgain(led: Led): Promise<void> {
    const { clock, random, log } = this.#options;
    const { signal } = led.stop;
    const backoff = fullJitter(BACKOFF.initialMs, BACKOFF.maxMs, random);
    for (;;) {
      signal.throwIfAborted();
      try {
        led.report = () => waiting(led.run, `waits for one of ${MAX_WALKS} other prewarms of this replica`);
        return await this.#withPermit(signal, () => this.#walk(led));
      } catch (error) {
        signal.throwIfAborted();
        led.walking = undefined;
        const message = error instanceof Error ? error.message : String(error);
        led.report = () => waiting(led.run, `cannot begin: ${message}`);
        log.warn('prewarm: a run cannot be walked now', { prewarm: led.run.name, run: led.run.run, error });
        await clock.sleep(BACKOFF.initialMs + backoff.nextMs(), signal);
      }
    }
  }

  async #walk(led: Led): Promise<void> {
    const { open, log } = this.#options;
    const { signal } = led.stop;
    led.report = () => waiting(led.run, '');
    const record = await this.#record(led.run.uid, signal);
    const ofThisRun = record?.run === led.run.run ? record : undefined;
    if (ofThisRun?.state === 'finished') {
      led.report = () => recordedReport(ofThisRun);
      return;
    }
    const walking = open(led.run, ofThisRun, ofThisRun === undefined ? record : undefined);
    led.walking = walking;
    led.report = () => walking.report();
    const { name, run } = led.run;
    log.info(ofThisRun === undefined ? 'prewarm: begins' : 'prewarm: continues', { prewarm: name, run });
    await walking.walk(signal);
  }

  /** The record, once the replica that walked before has had the time to write it. */
  async #record(uid: string, signal: AbortSignal): Promise<RunRecord | undefined> {
    const { records, peers, clock } = this.#options;
    const record = await records.read(uid, signal);
    if (record === undefined || record.state === 'finished' || record.writer === peers.current().self) return record;
    await clock.sleep(HANDOVER_MS, signal);
    return records.read(uid, signal);
  }
}

function waiting(run: PrewarmRun, message: string): PrewarmReport {
  const facts = { state: 'running', listed: false, bytesPerSecond: 0, failures: [], pin: 'none', message } as const;
  return reportOf(run, emptyTally(), facts);
}

function recordedReport(record: RunRecord): PrewarmReport {
  const { state, listed, failures, pin, tally } = record;
  return reportOf(record, tally, { state, listed, bytesPerSecond: 0, failures, pin: pin.state, message: pin.message });
}
