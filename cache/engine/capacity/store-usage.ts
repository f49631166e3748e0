/**
 * What the accountant learns about the store besides this cache's chunks: the size of a file system, and what other caches
 * have there. Each cache publishes its sum in a small object, so that no cache lists another one's chunks.
 */
import { usageName } from '#cache/core/capacity/chunk-key.ts';
import type { StoreAccount } from '#cache/core/capacity/store-account.ts';
import { decodePublishedUsage, encodePublishedUsage } from '#cache/core/capacity/usage-codec.ts';
import { hasCode } from '#cache/core/errors.ts';
import type { Alarm } from '#shared/alarm.ts';
import type { Room } from './room.ts';

/** Both change slowly. */
const EVERY_MS = 5 * 60_000;
/** A new accountant needs the capacity soon; so does one that could not ask so far. */
const RETRY_MS = 10_000;
/** More than share one store. */
const MAX_CACHES = 100;
const PREFIX = '_orca/usage/';

export class StoreUsage {
  readonly #room: Room;
  readonly #alarm: Alarm;
  readonly #account: () => StoreAccount;
  readonly #mayWrite: () => boolean;
  #totalBytes: number | undefined;
  #foreignBytes = 0;

  constructor(room: Room, options: { alarm: Alarm; account: () => StoreAccount; mayWrite: () => boolean }) {
    this.#room = room;
    this.#alarm = options.alarm;
    this.#account = options.account;
    this.#mayWrite = options.mayWrite;
  }

  /** As configured; otherwise what a file system has for this cache. */
  get capacityBytes(): number | undefined {
    const { capacityBytes } = this.#room.settings();
    if (capacityBytes !== undefined || this.#totalBytes === undefined) return capacityBytes;
    return Math.max(0, this.#totalBytes - this.#foreignBytes);
  }

  get foreignBytes(): number {
    return this.#foreignBytes;
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const isDone = await this.#update(signal);
      await this.#alarm.sleep(isDone ? EVERY_MS : RETRY_MS, signal);
    }
  }

  /** False if this replica is not the accountant, or may not ask or write now. */
  async #update(signal: AbortSignal): Promise<boolean> {
    const { shards, calls } = this.#room;
    if (shards.accountant() !== shards.self || !this.#mayWrite() || !calls.isClosed) return false;
    try {
      this.#totalBytes = await calls.totalBytes(signal);
      await this.#publish(signal);
      this.#foreignBytes = await this.#foreign(signal);
    } catch (error) {
      // The next time.
      if (!signal.aborted && !hasCode(error, 'store_unavailable', 'cancelled')) throw error;
    }
    return true;
  }

  async #publish(signal: AbortSignal): Promise<void> {
    const { originId, clock, calls } = this.#room;
    const { usedBytes, chunks, lastSweepMs } = this.#account();
    if (lastSweepMs === undefined) return;
    const body = encodePublishedUsage({ originId, usedBytes, chunks, atMs: clock.date() });
    await calls.putSmall(usageName(originId), body, signal);
  }

  async #foreign(signal: AbortSignal): Promise<number> {
    const { originId, calls } = this.#room;
    let bytes = 0;
    let caches = 0;
    for await (const entries of calls.list(PREFIX, signal))
      for (const { name } of entries) {
        if (name === usageName(originId) || caches++ >= MAX_CACHES) continue;
        const body = await calls.getSmall(name, signal);
        bytes += (body && decodePublishedUsage(body)?.usedBytes) ?? 0;
      }
    return bytes;
  }
}
