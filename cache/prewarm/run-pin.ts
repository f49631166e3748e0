/**
 * The pin of a run: versions are added as they are complete, and it expires some time after the run. If it would be too
 * large it is refused and removed; the run itself continues.
 */
import { hasCode } from '#cache/core/errors.ts';
import { parseChunkName } from '#cache/core/capacity/chunk-key.ts';
import type { PinnedVersion, Pins } from '#cache/engine/capacity/pins.ts';
import type { Clock } from '#cache/engine/ports.ts';
import type { WarmObject } from '#cache/engine/warm/warm.ts';
import { pinName } from './pin-name.ts';
import { NO_PIN, type PinRecord, type RunRecord } from './record.ts';
import type { PrewarmRun } from './resource.ts';

/** The check reads all pins of the cachestore, up to 256 objects each. */
const CHECK_EVERY_MS = 60_000;

export interface RunPinOptions {
  readonly run: PrewarmRun & { readonly pin: NonNullable<PrewarmRun['pin']> };
  readonly pins: Pick<Pins, 'add' | 'expireAfter' | 'remove' | 'requireRoom'>;
  /** The record of this run, by an earlier walker. */
  readonly resumed: RunRecord | undefined;
  /** The record of the run before. */
  readonly previous: RunRecord | undefined;
  readonly originId: string;
  readonly clock: Clock;
}

export class RunPin {
  readonly #options: RunPinOptions;
  #record: PinRecord;
  #pending: PinnedVersion[] = [];
  #checkedMs = -Infinity;

  constructor(options: RunPinOptions) {
    const { run, resumed, previous } = options;
    this.#options = options;
    this.#record = resumed?.pin ?? { ...NO_PIN, name: pinName(run), previous: lastPin(previous) };
  }

  get record(): PinRecord {
    return this.#record;
  }

  add(object: WarmObject, sizeBytes: number): void {
    if (object.count === 0 || this.#record.state === 'refused') return;
    const name = parseChunkName(object.chunkAt(0).path, this.#options.originId);
    if (name !== undefined) this.#pending.push({ versionHex: name.versionHex, sizeBytes });
  }

  /** Writes what was added. Rejects with store_unavailable. */
  async flush(signal: AbortSignal): Promise<void> {
    const { pins, clock } = this.#options;
    const pending = this.#pending;
    if (pending.length === 0 || this.#record.state === 'refused') return;
    this.#pending = [];
    try {
      const addedBytes = await pins.add(this.#record.name, pending, signal);
      this.#record = { ...this.#record, state: 'pinned', sizeBytes: this.#record.sizeBytes + addedBytes };
      if (clock.now() - this.#checkedMs >= CHECK_EVERY_MS) await this.#check(signal);
    } catch (error) {
      if (hasCode(error, 'invalid_argument')) return this.#refuse(error.message, signal);
      this.#pending.push(...pending);
      throw error;
    }
  }

  /** The run is over. */
  async finish(signal: AbortSignal): Promise<void> {
    const { pins, run } = this.#options;
    if (this.#record.state !== 'pinned') return;
    try {
      await this.#check(signal);
    } catch (error) {
      if (!hasCode(error, 'invalid_argument')) throw error;
      return this.#refuse(error.message, signal);
    }
    const { name, previous } = this.#record;
    if (run.pin.ttlMs !== undefined) await pins.expireAfter(name, run.pin.ttlMs, signal);
    if (previous === '') return;
    await pins.remove(previous, signal);
    this.#record = { ...this.#record, previous: '' };
  }

  async #check(signal: AbortSignal): Promise<void> {
    const { name, sizeBytes, previous } = this.#record;
    await this.#options.pins.requireRoom(name, sizeBytes, signal, previous);
    this.#checkedMs = this.#options.clock.now();
  }

  /** What was pinned so far would keep room from others, and the run would not be whole. */
  async #refuse(message: string, signal: AbortSignal): Promise<void> {
    await this.#options.pins.remove(this.#record.name, signal);
    this.#pending = [];
    this.#record = { ...this.#record, state: 'refused', sizeBytes: 0, message: `the pin was refused: ${message}` };
  }
}

/** What a run leaves to the next one to remove. */
function lastPin(record: RunRecord | undefined): string {
  if (record === undefined) return '';
  return record.pin.state === 'pinned' ? record.pin.name : record.pin.previous;
}
