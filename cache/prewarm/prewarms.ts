/**
 * Prewarms: runs of OrcaPrewarm resources, which bring objects into the cachestore before clients ask for them. The operator
 * decides which run is wanted; one replica walks it and reports at `/prewarms`.
 */
import type { ListQuery } from '#cache/core/s3/listing.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { Clock, PeerView } from '#cache/engine/ports.ts';
import type { PrewarmReport } from '#shared/prewarm-report.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import type { Log } from '#shared/log.ts';
import { CleanUp } from './clean-up.ts';
import { Lead } from './lead.ts';
import type { RunRecord } from './record.ts';
import { pinOwner } from './pin-name.ts';
import { Records } from './records.ts';
import type { PrewarmRun } from './resource.ts';
import { RunPin } from './run-pin.ts';
import { Walk, type Counted } from './walk.ts';
import { watchPrewarms } from './watch.ts';

export interface PrewarmsOptions {
  readonly engine: Pick<Engine, 'warm' | 'listFresh' | 'read' | 'store' | 'capacity'>;
  readonly originId: string;
  readonly namespace: string;
  /** The cache's name. */
  readonly cache: string;
  readonly peers: PeerView;
  readonly client: KubeClient;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  /** Receives what has been done since the last call. */
  readonly count: (counted: Counted) => void;
}

export interface Prewarms {
  reports(): PrewarmReport[];
  /** The prewarm that a pin belongs to. */
  pinOwner(pin: string): { readonly prewarm: string; readonly uid: string } | undefined;
  /** How many runs this replica walks, or has walked and that are still wanted. */
  readonly count: number;
  /** Until the signal aborts: then walks have recorded how far they have come. */
  run(signal: AbortSignal): Promise<void>;
}

export function openPrewarms(options: PrewarmsOptions): Prewarms {
  const { engine, originId, namespace, cache, peers, client, clock, random, log, count } = options;
  const records = new Records({ originId, store: engine.store, clock });
  const sources = {
    list: (bucket: string, query: ListQuery, signal: AbortSignal) => engine.listFresh(bucket, query, signal),
    read: engine.read,
    client,
    namespace,
  };
  const { pins } = engine.capacity;
  const pinOf = (run: PrewarmRun, resumed?: RunRecord, previous?: RunRecord): RunPin | undefined =>
    run.pin && new RunPin({ run: { ...run, pin: run.pin }, pins, resumed, previous, originId, clock });
  const open = (run: PrewarmRun, resumed: RunRecord | undefined, previous: RunRecord | undefined): Walk =>
    new Walk({
      run,
      resumed,
      cache: `${namespace}/${cache}`,
      self: () => peers.current().self,
      warm: engine.warm,
      sources,
      records,
      pin: pinOf(run, resumed, previous),
      clock,
      random,
      log,
      count,
    });
  const lead = new Lead({ peers, records, open, clock, random, log });
  const cleanUp = new CleanUp({ lead, records, pins, cache: `${namespace}/${cache}`, clock, log });
  return {
    reports: () => lead.reports(),
    pinOwner: (pin) => pinOwner(pin, lead.resources),
    get count() {
      return lead.count;
    },
    async run(signal) {
      await peers.ready();
      let isComplete = false;
      const deletions = new Set<Promise<void>>();
      const unsubscribe = peers.onChange(() => lead.reconsider());
      const sweeping = cleanUp.run(() => isComplete, signal);
      try {
        await watchPrewarms(
          {
            client,
            namespace,
            cache,
            clock,
            log,
            random,
            onChange: (resources) => lead.update(resources),
            onComplete(value) {
              isComplete = value;
            },
            onDeleted(uid) {
              const deletion = cleanUp.deleted(uid, signal).finally(() => deletions.delete(deletion));
              deletions.add(deletion);
            },
          },
          signal,
        );
      } finally {
        unsubscribe();
        await Promise.all([lead.close(), sweeping, ...deletions]);
      }
    },
  };
}
