/** `GET /top`: what the replica does now. */
import type { Engine } from '#cache/engine/engine.ts';
import type { Activity } from '#cache/http/activity.ts';

export interface TopOptions {
  readonly engine: Engine;
  readonly activity: Pick<Activity, 'report'>;
}

export async function topOf({ engine, activity }: TopOptions) {
  const { memory, memoryTier, limiter, flights, outbox } = engine;
  return {
    ...(await activity.report()),
    now: {
      fillsRunning: flights.count,
      originRunning: limiter.running,
      originQueued: limiter.queued,
      originSlots: limiter.slots,
      commitsWaiting: outbox.count,
      memoryBudgetBytes: memory.budgetBytes,
      memoryUsedBytes: memory.usedBy('window') + memory.usedBy('fill'),
      memoryTierBytes: memoryTier.sizeBytes,
      waitingStarted: memory.waiting('started'),
      waitingNew: memory.waiting('new'),
    },
  };
}
