/**
 * One run of a prewarm on the replica that walks it: lists the targets page by page, warms each object, and keeps a record
 * in the cachestore, from which another replica continues.
 */
import { codeOf } from '#cache/core/errors.ts';
import type { Clock } from '#cache/engine/ports.ts';
import type { Warm } from '#cache/engine/warm/warm.ts';
import type { PrewarmReport } from '#shared/prewarm-report.ts';
import { abortable } from '#shared/abortable.ts';
import type { Log } from '#shared/log.ts';
import { Progress, type ObjectProgress } from './progress.ts';
import { NO_PIN, type Retry, type RunRecord } from './record.ts';
import { RecordKeeper } from './record-keeper.ts';
import type { Records } from './records.ts';
import { reportOf } from './report.ts';
import type { PrewarmRun } from './resource.ts';
import { RunContext } from './run-context.ts';
import type { RunPin } from './run-pin.ts';
import { Slots } from './slots.ts';
import { emptySurvey, survey } from './survey.ts';
import { openTarget, titleOf, type TargetSources } from './targets/open.ts';
import { patientPages } from './targets/patient-pages.ts';
import { warmObject } from './warm-object.ts';

/** Objects between the oldest that is not done and the newest: a page. */
const MAX_WINDOW = 1000;
/** The first attempt, one after all others, and one at the end. */
const ATTEMPTS = 3;
/** Before the last attempt: longer than the origin's answers about a key that is missing are kept. */
const BEFORE_LAST_ATTEMPT_MS = 10_000;
/** Lines about failed objects at level warn, for each walk. */
const MAX_LOGGED = 20;

export interface WalkOptions {
  readonly run: PrewarmRun;
  /** The record of an earlier walker of this run. */
  readonly resumed: RunRecord | undefined;
  readonly cache: string;
  readonly self: () => string;
  readonly warm: Warm;
  readonly sources: TargetSources;
  readonly records: Records;
  readonly pin: RunPin | undefined;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  /** Receives what has been done since the last call. */
  readonly count: (counted: Counted) => void;
}

export interface Counted {
  readonly objectsDone: number;
  readonly objectsFailed: number;
  readonly originBytes: number;
}

export class Walk {
  readonly #options: WalkOptions;
  readonly #context: RunContext;
  readonly #progress: Progress;
  readonly #objects: Slots;
  readonly #keeper: RecordKeeper;
  readonly #survey = emptySurvey();
  #run: PrewarmRun;
  #state: RunRecord['state'] = 'running';
  #isListed: boolean;
  #order = 0;
  #logged = 0;
  readonly #underWay = new Set<Promise<void>>();
  /** An error that is not one of an object. */
  readonly #broken = new AbortController();

  constructor(options: WalkOptions) {
    const { run, resumed, clock, random } = options;
    this.#options = options;
    this.#run = run;
    const onOriginBytes = (originBytes: number): void =>
      options.count({ objectsDone: 0, objectsFailed: 0, originBytes });
    this.#context = new RunContext(run, { clock, random, onOriginBytes });
    this.#progress = new Progress(resumed);
    this.#objects = new Slots(run.parallelism);
    this.#isListed = resumed?.listed ?? false;
    this.#keeper = new RecordKeeper({
      ...options,
      state: () => ({ ...this.#progress.position(), listed: this.#isListed }),
    });
  }

  report(): PrewarmReport {
    const { now, failures } = this.#progress;
    const isRunning = this.#state === 'running';
    // The walk may find fewer objects than there were before.
    const ahead = this.#isListed ? emptySurvey() : this.#survey;
    const pin = this.#options.pin?.record ?? NO_PIN;
    const objects = Math.max(now.objects, ahead.objects);
    const totalBytes = Math.max(now.totalBytes, ahead.sizeBytes);
    return reportOf(
      this.#run,
      { ...now, objects, totalBytes },
      {
        state: this.#state,
        listed: this.#isListed || ahead.isComplete,
        bytesPerSecond: isRunning ? this.#context.speed.bytesPerSecond() : 0,
        failures,
        pin: pin.state,
        message: (isRunning && this.#context.trouble) || pin.message,
      },
    );
  }

  /** Another rate or parallelism. */
  update(run: PrewarmRun): void {
    this.#run = run;
    this.#context.update(run);
    this.#objects.resize(run.parallelism);
  }

  /** The resource was deleted: nothing more is written. */
  drop(): void {
    this.#keeper.drop();
  }

  /** Resolves when the run is finished and recorded. When the signal aborts, it records how far it has come, and rejects. */
  async walk(signal: AbortSignal): Promise<void> {
    const ending = new AbortController();
    const either = AbortSignal.any([signal, this.#broken.signal, ending.signal]);
    const allEnded = new AbortController();
    const saving = this.#keeper.saveNowAndThen(AbortSignal.any([either, allEnded.signal]));
    const surveying = this.#lookAhead(either);
    try {
      await this.#list(either);
      await this.#retry(either);
      // A record that is still being written must not replace the last one.
      allEnded.abort(new Error('every object has ended'));
      await saving;
      await this.#keeper.finish(either);
      this.#state = 'finished';
      const { done, failed } = this.#progress.now;
      this.#options.log.info('prewarm: finished', { ...this.#facts(), done, failed });
    } catch (error) {
      ending.abort(error);
      await Promise.all(this.#underWay);
      throw this.#broken.signal.aborted ? this.#broken.signal.reason : error;
    } finally {
      ending.abort(new Error('the walk is over'));
      await Promise.all([saving, surveying]);
      if (this.#state === 'running') await this.#keeper.handOver();
    }
  }

  /** Never rejects: the walk itself finds out what cannot be listed. */
  async #lookAhead(signal: AbortSignal): Promise<void> {
    if (this.#isListed) return;
    try {
      await survey(this.#survey, this.#run, this.#options.sources, this.#context, signal);
    } catch (error) {
      if (!signal.aborted)
        this.#options.log.debug('prewarm: the totals are not known ahead', { ...this.#facts(), error });
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { targets } = this.#run;
    for (let target = this.#progress.target; target < targets.length; target++) {
      const after = target === this.#progress.target ? this.#progress.after : '';
      await this.#listTarget(target, after, signal);
      this.#progress.passed(target + 1, '');
    }
    this.#isListed = true;
    await abortable(Promise.all(this.#underWay), signal);
    signal.throwIfAborted();
  }

  /** One that cannot be listed counts as an object that failed. */
  async #listTarget(target: number, start: string, signal: AbortSignal): Promise<void> {
    const spec = this.#run.targets[target];
    if (spec === undefined) return;
    let after = start;
    for (let attempt = 1; ; attempt++) {
      try {
        const source = openTarget(spec, this.#options.sources);
        for await (const page of patientPages(source, after, this.#context, signal)) {
          for (const { key, sizeBytes, after: end } of page.keys)
            await this.#begin(target, key, sizeBytes ?? 0, end, signal);
          ({ after } = page);
          this.#progress.passed(target, after);
        }
        return;
      } catch (error) {
        signal.throwIfAborted();
        this.#options.log.warn('prewarm: a target cannot be listed', {
          ...this.#facts(),
          target: titleOf(spec),
          attempt,
          error,
        });
        if (attempt === ATTEMPTS) {
          this.#progress.failedTarget({ key: titleOf(spec), reason: codeOf(error) });
          this.#options.count({ objectsDone: 0, objectsFailed: 1, originBytes: 0 });
          return;
        }
        await this.#options.clock.sleep(BEFORE_LAST_ATTEMPT_MS, signal);
      }
    }
  }

  /** Starts an object once there is room. */
  async #begin(target: number, key: string, sizeBytes: number, after: string, signal: AbortSignal): Promise<void> {
    if (this.#progress.window >= MAX_WINDOW) await abortable(this.#progress.room(MAX_WINDOW), signal);
    const order = this.#order++;
    const giveBack = await this.#objects.take(order, signal);
    const progress = this.#progress.begin(target, after, sizeBytes);
    const retry = { target, key, attempts: 0, reason: '', sizeBytes };
    this.#start(this.#attempt(retry, order, progress, signal).finally(giveBack));
  }

  #start(task: Promise<void>): void {
    const tracked: Promise<void> = task
      .catch((error: unknown) => this.#broken.abort(error))
      .finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }

  async #attempt(before: Retry, order: number, progress: ObjectProgress, signal: AbortSignal): Promise<void> {
    const { warm, log, count, pin } = this.#options;
    const { target, key } = before;
    const bucket = this.#run.targets[target]?.bucket ?? '';
    try {
      const requestId = `prewarm-${this.#run.uid.slice(0, 8)}-${order}`;
      const { object, sizeBytes } = await warmObject(warm, this.#context, {
        bucket,
        key,
        order,
        progress,
        requestId,
        isAnswering: before.attempts === 0 ? undefined : () => this.#isAnswering(bucket, signal),
        signal,
      });
      pin?.add(object, sizeBytes);
      this.#progress.retried(before);
      progress.end('done');
      count({ objectsDone: 1, objectsFailed: 0, originBytes: 0 });
    } catch (error) {
      if (signal.aborted) return;
      const reason = codeOf(error);
      const attempts = before.attempts + 1;
      // The first ones show the cause; a million of them would not show more.
      const level = this.#logged++ < MAX_LOGGED ? 'warn' : 'debug';
      log[level]('prewarm: an object cannot be warmed', { ...this.#facts(), bucket, key, attempts, error });
      const retry = { target, key, attempts, reason, sizeBytes: progress.sizeBytes };
      this.#progress.retried(before);
      if (attempts < ATTEMPTS && this.#progress.retryLater(retry)) return progress.end('later');
      this.#progress.failed({ key, reason });
      progress.end('failed');
      count({ objectsDone: 0, objectsFailed: 1, originBytes: 0 });
    }
  }

  /** Whether the origin lists the bucket. */
  #isAnswering(bucket: string, signal: AbortSignal): Promise<boolean> {
    const query = { prefix: '', delimiter: '', after: '', maxKeys: 1 };
    return this.#options.sources.list(bucket, query, signal).then(
      () => true,
      () => false,
    );
  }

  /** The objects that have failed: a second attempt, and a third for those that fail again. */
  async #retry(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (this.#progress.retries.length > 0) {
      const attempts = Math.min(...this.#progress.retries.map((retry) => retry.attempts));
      if (attempts === ATTEMPTS - 1) await clock.sleep(BEFORE_LAST_ATTEMPT_MS, signal);
      const due = this.#progress.retries.filter((retry) => retry.attempts === attempts);
      for (const retry of due) {
        const order = this.#order++;
        const giveBack = await this.#objects.take(order, signal);
        const progress = this.#progress.again(retry.sizeBytes);
        this.#start(this.#attempt(retry, order, progress, signal).finally(giveBack));
      }
      await abortable(Promise.all(this.#underWay), signal);
      signal.throwIfAborted();
    }
  }

  #facts() {
    const { name, run } = this.#run;
    return { prewarm: name, run };
  }
}
