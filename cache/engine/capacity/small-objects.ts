/**
 * Deletes small objects that will not be read again: manifests and lists are used until `staleIfError`, and a probe deletes
 * its objects itself unless its process ends. Each owner of a shard does so for the manifests whose names begin with it.
 */
import { shardName } from '#cache/core/capacity/chunk-key.ts';
import { MAX_STORE_NAMES, type StoredEntry } from '#cache/engine/ports.ts';
import type { Room } from './room.ts';

/** There may be as many manifests as chunks, and they change less often. */
const EVERY_MS = 6 * 60 * 60_000;
/** Longer than any probe takes, and more than the clocks of replicas differ. */
const MARGIN_MS = 60 * 60_000;

export class SmallObjects {
  readonly #room: Room;
  readonly #staleIfErrorMs: number;
  /** By prefix, when it was swept. */
  readonly #sweptMs = new Map<string, number>();

  constructor(room: Room, staleIfErrorMs: number) {
    this.#room = room;
    this.#staleIfErrorMs = staleIfErrorMs;
  }

  async sweep(shard: number, signal: AbortSignal): Promise<void> {
    const { originId, shards } = this.#room;
    const staleMs = this.#staleIfErrorMs + MARGIN_MS;
    const digits = shardName(shard);
    await this.#sweepPrefix(`_orca/manifests/${originId}/${digits}`, staleMs, signal);
    await this.#sweepPrefix(`_orca/lists/${originId}/${digits}`, staleMs, signal);
    if (shards.accountant() !== shards.self) return;
    await this.#sweepPrefix(`_orca/lists/${originId}/bucket-`, staleMs, signal);
    await this.#sweepPrefix('_orca/probe/', MARGIN_MS, signal);
  }

  async #sweepPrefix(prefix: string, maxAgeMs: number, signal: AbortSignal): Promise<void> {
    const { calls, clock, time } = this.#room;
    const nowMs = clock.now();
    if (nowMs - (this.#sweptMs.get(prefix) ?? -Infinity) < EVERY_MS) return;
    this.#sweptMs.set(prefix, nowMs);
    const batch: string[] = [];
    const isStale = ({ modifiedMs }: StoredEntry): boolean => (time.nowMs() ?? -Infinity) - modifiedMs > maxAgeMs;
    for await (const entries of calls.list(prefix, signal)) {
      batch.push(...entries.filter(isStale).map(({ name }) => name));
      while (batch.length >= MAX_STORE_NAMES) await calls.remove(batch.splice(0, MAX_STORE_NAMES), signal);
    }
    if (batch.length > 0) await calls.remove(batch, signal);
  }
}
