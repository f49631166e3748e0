/**
 * How urgent a piece of work is, which can change while it waits or runs. In the background is what no client waits for:
 * it takes what is idle, and can be preempted.
 */
export interface Rank {
  readonly isBackground: boolean;
  /** In the background: a prewarm waits for it, so it gets a larger part of what is idle than other background work. */
  readonly isWarm: boolean;
  /** Called with each change; returns the unsubscribe function. */
  onRank(listener: () => void): () => void;
}
