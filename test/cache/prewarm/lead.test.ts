import { describe, expect, it } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import type { PeerAddress } from '#cache/engine/ports.ts';
import { CleanUp } from '#cache/prewarm/clean-up.ts';
import { Lead, type Walking } from '#cache/prewarm/lead.ts';
import { NO_PIN, type RunRecord } from '#cache/prewarm/record.ts';
import { Records } from '#cache/prewarm/records.ts';
import type { PrewarmResource, PrewarmRun } from '#cache/prewarm/resource.ts';
import { emptyTally } from '#cache/prewarm/tally.ts';
import { openLog } from '#shared/log.ts';
import type { PrewarmReport } from '#shared/prewarm-report.ts';
import { peerSet } from '#test/support/engines.ts';
import { fakeChunkStore } from '#test/support/fake-chunk-store.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const SELF = '10.0.0.1:8444' as PeerAddress;
const OTHER = '10.0.0.2:8444' as PeerAddress;
const { signal } = new AbortController();

/** The uid of a prewarm for which `first` ranks first of the two replicas. */
function uidFor(first: PeerAddress): string {
  for (let at = 0; ; at++) {
    const uid = `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`;
    if (rankPeers(`_orca/prewarm/${uid}`, [SELF, OTHER])[0] === first) return uid;
  }
}

function resource(uid: string, changes: { suspend?: boolean; activeRun?: number; parallelism?: number } = {}) {
  const { suspend = false, activeRun = 1, parallelism = 4 } = changes;
  return {
    metadata: { uid, name: 'llama', namespace: 'ml' },
    spec: { cacheRef: { name: 'models' }, targets: [{ bucket: 'models' }], suspend, parallelism },
    status: activeRun === 0 ? {} : { activeRun },
  } satisfies PrewarmResource;
}

function recordOf(uid: string, changes: Partial<RunRecord> = {}): RunRecord {
  return {
    cache: 'ml/models',
    uid,
    name: 'llama',
    run: 1,
    state: 'running',
    writer: OTHER,
    target: 0,
    after: 'llama/a',
    tally: { ...emptyTally(), objects: 5, done: 5, doneBytes: 50, totalBytes: 50, storedBytes: 50 },
    carriedBytes: 0,
    listed: false,
    retries: [],
    failures: [],
    pin: NO_PIN,
    ...changes,
  };
}

interface Opened {
  readonly run: PrewarmRun;
  readonly resumed: RunRecord | undefined;
  readonly previous: RunRecord | undefined;
  isWalking: boolean;
  isDropped: boolean;
  updates: PrewarmRun[];
  finish: () => void;
}

function world() {
  const clock = fakeClock();
  const store = fakeChunkStore({ clock });
  const records = new Records({ originId: 'test', store, clock });
  const opened: Opened[] = [];
  let view = peerSet(SELF, [SELF, OTHER]);
  const log = openLog({ name: 'test', level: 'error', write: () => {} });
  const lead = new Lead({
    peers: { current: () => view },
    records,
    clock,
    random: () => 0.5,
    log,
    open(run, resumed, previous): Walking {
      const done = Promise.withResolvers<void>();
      const walk: Opened = {
        run,
        resumed,
        previous,
        isWalking: false,
        isDropped: false,
        updates: [],
        finish: () => done.resolve(),
      };
      opened.push(walk);
      return {
        report: () => ({ uid: run.uid, run: run.run, state: 'running' }) as PrewarmReport,
        update: (next) => void walk.updates.push(next),
        drop: () => void (walk.isDropped = true),
        async walk(stop) {
          walk.isWalking = true;
          const stopped = new Promise<never>((_resolve, reject) => {
            stop.addEventListener('abort', () => reject(stop.reason));
          });
          try {
            await Promise.race([done.promise, stopped]);
          } finally {
            walk.isWalking = false;
          }
        },
      };
    },
  });
  return {
    clock,
    store,
    records,
    lead,
    opened,
    log,
    show: async (...resources: PrewarmResource[]) => {
      lead.update(new Map(resources.map((each) => [each.metadata.uid ?? '', each])));
      await clock.advance(0);
    },
    see: async (...owners: PeerAddress[]) => {
      view = peerSet(SELF, owners);
      lead.reconsider();
      await clock.advance(0);
    },
  };
}

describe('a replica', () => {
  it('walks the wanted runs for which it ranks first', async () => {
    const { lead, opened, show } = world();
    const [mine, foreign] = [uidFor(SELF), uidFor(OTHER)];
    await show(resource(mine), resource(foreign));
    expect(opened.map(({ run }) => run.uid)).toEqual([mine]);
    expect(lead.reports().map(({ uid }) => uid)).toEqual([mine]);
  });

  it.for([
    ['suspended', { suspend: true }],
    ['not active', { activeRun: 0 }],
  ] as const)('ends a walk whose run is %s', async ([, changes]) => {
    const { lead, opened, show } = world();
    const uid = uidFor(SELF);
    await show(resource(uid));
    expect(opened[0]?.isWalking).toBe(true);
    await show(resource(uid, changes));
    expect(opened[0]).toMatchObject({ isWalking: false, isDropped: false });
    expect(lead.reports()).toEqual([]);
  });

  it('ends a walk for which another replica ranks first, and begins those for which it does then', async () => {
    const { opened, show, see } = world();
    const [mine, foreign] = [uidFor(SELF), uidFor(OTHER)];
    await see(SELF);
    await show(resource(mine), resource(foreign));
    expect(opened).toHaveLength(2);
    await see(SELF, OTHER);
    expect(opened.find(({ run }) => run.uid === foreign)?.isWalking).toBe(false);
    expect(opened.find(({ run }) => run.uid === mine)?.isWalking).toBe(true);
    await see(SELF);
    expect(opened.filter(({ run }) => run.uid === foreign)).toHaveLength(2);
  });

  it('continues from the record of another replica, once that one has had the time to write it', async () => {
    const { clock, records, opened, show } = world();
    const uid = uidFor(SELF);
    await records.write(recordOf(uid), signal);
    await show(resource(uid));
    expect(opened).toEqual([]);
    await records.write(recordOf(uid, { after: 'llama/b' }), signal);
    await clock.advance(1_000);
    expect(opened[0]?.resumed).toMatchObject({ after: 'llama/b' });
  });

  it('begins a run at once, and knows the record of the run before', async () => {
    const { records, opened, show } = world();
    const uid = uidFor(SELF);
    await records.write(recordOf(uid, { state: 'finished', listed: true }), signal);
    await show(resource(uid, { activeRun: 2 }));
    expect(opened[0]).toMatchObject({ resumed: undefined, previous: { run: 1 } });
  });

  it('reports a run from its record that was finished before, and does not walk it again', async () => {
    const { records, lead, opened, show } = world();
    const uid = uidFor(SELF);
    await records.write(recordOf(uid, { state: 'finished', listed: true }), signal);
    await show(resource(uid));
    expect(opened).toEqual([]);
    expect(lead.reports()).toMatchObject([{ uid, run: 1, state: 'finished', objects: { total: 5, done: 5 } }]);
    await show(resource(uid, { activeRun: 0 }));
    expect(lead.reports()).toEqual([]);
  });

  it('passes on what changes', async () => {
    const { opened, show } = world();
    const uid = uidFor(SELF);
    await show(resource(uid));
    await show(resource(uid, { parallelism: 7 }));
    expect(opened[0]?.updates.at(-1)).toMatchObject({ parallelism: 7 });
    expect(opened).toHaveLength(1);
  });

  it('reports why a run cannot begin, and begins it when the cachestore answers', async () => {
    const { clock, store, lead, opened, show } = world();
    const uid = uidFor(SELF);
    store.down = new OrcaError('store_unavailable', 'the cachestore is down');
    await show(resource(uid));
    expect(lead.reports()).toMatchObject([{ state: 'running', message: 'cannot begin: the cachestore is down' }]);
    store.down = undefined;
    await clock.advance(2_000);
    expect(opened).toHaveLength(1);
  });

  it('walks eight runs at once, and reports that others wait', async () => {
    const { clock, lead, opened, show, see } = world();
    await see(SELF);
    const uids = Array.from({ length: 10 }, (_, at) => `00000000-0000-4000-8000-00000000000${at}`);
    await show(...uids.map((uid) => resource(uid)));
    expect(opened).toHaveLength(8);
    expect(lead.reports().filter(({ message }) => message?.startsWith('waits for one of 8'))).toHaveLength(2);
    opened[0]?.finish();
    await clock.advance(0);
    expect(opened).toHaveLength(9);
  });

  it('ends all walks when it closes, and begins no other', async () => {
    const { lead, opened, show } = world();
    const uid = uidFor(SELF);
    await show(resource(uid));
    await lead.close();
    expect(opened[0]?.isWalking).toBe(false);
    await show(resource(uid));
    expect(opened).toHaveLength(1);
  });
});

describe('what a deleted prewarm leaves', () => {
  function cleanUpOf({ lead, records, clock, log }: ReturnType<typeof world>) {
    const removed: string[] = [];
    const pins = { remove: async (name: string) => void removed.push(name) };
    return { removed, cleanUp: new CleanUp({ lead, records, pins, cache: 'ml/models', clock, log }) };
  }
  const pin = { ...NO_PIN, state: 'pinned', name: 'llama-1', previous: 'llama-0' } as const;

  it('is removed by the replica that ranks first, after its walk has ended', async () => {
    const all = world();
    const { removed, cleanUp } = cleanUpOf(all);
    const uid = uidFor(SELF);
    await all.show(resource(uid));
    await all.records.write(recordOf(uid, { pin }), signal);
    await all.show();
    await cleanUp.deleted(uid, signal);
    expect(all.opened[0]).toMatchObject({ isWalking: false, isDropped: true });
    expect(removed).toEqual(['llama-1', 'llama-0']);
    expect(all.store.smallNames()).toEqual([]);
  });

  it('is left to the replica that ranks first', async () => {
    const all = world();
    const { removed, cleanUp } = cleanUpOf(all);
    const uid = uidFor(OTHER);
    await all.records.write(recordOf(uid, { pin }), signal);
    await cleanUp.deleted(uid, signal);
    expect(removed).toEqual([]);
    expect(all.store.smallNames()).toHaveLength(1);
  });

  it('is swept later if it was missed, but not if a resource appears or it is of another cache', async () => {
    const all = world();
    const { removed, cleanUp } = cleanUpOf(all);
    await all.see(SELF);
    const [deleted, late, kept, foreign] = [0, 1, 2, 3].map((at) => `00000000-0000-4000-8000-00000000000${at}`) as [
      string,
      string,
      string,
      string,
    ];
    await all.show(resource(kept, { activeRun: 0 }));
    for (const uid of [deleted, late, kept])
      await all.records.write(recordOf(uid, { pin: { ...pin, name: uid } }), signal);
    await all.records.write(recordOf(foreign, { cache: 'ml/other' }), signal);
    const sweeping = cleanUp.sweep(signal);
    await all.clock.advance(30_000);
    await all.show(resource(kept, { activeRun: 0 }), resource(late, { activeRun: 0 }));
    await all.clock.advance(30_000);
    await sweeping;
    expect(removed).toEqual([deleted, 'llama-0']);
    expect(all.store.smallNames()).toEqual([late, kept, foreign].map((uid) => `_orca/prewarm/test/${uid}`));
  });

  it('is tried again when the cachestore does not answer', async () => {
    const all = world();
    const { removed, cleanUp } = cleanUpOf(all);
    const uid = uidFor(SELF);
    await all.records.write(recordOf(uid, { pin }), signal);
    all.store.down = new OrcaError('store_unavailable', 'the cachestore is down');
    const deleting = cleanUp.deleted(uid, signal);
    await all.clock.advance(1_000);
    all.store.down = undefined;
    await all.clock.advance(5_000);
    await deleting;
    expect(removed).toHaveLength(2);
  });
});
