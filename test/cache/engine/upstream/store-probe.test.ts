import { expect, onTestFinished, test } from 'vitest';
import { peerSetOf } from '#cache/core/peer-set.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { VERDICT_KEPT_MS, type StoreFindings, type StoreVerdict } from '#cache/core/store-verdict.ts';
import type { PeerAddress, PeerSet, ProbedStore } from '#cache/engine/ports.ts';
import { StoreProbe } from '#cache/engine/upstream/store-probe.ts';
import { fakeChunkStore, type FakeChunkStore } from '#test/support/fake-chunk-store.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';

const DAY_MS = VERDICT_KEPT_MS;
const ATOMIC: StoreFindings = {
  first: 'won',
  second: 'taken',
  race: { outcomes: ['won', 'taken', 'taken'], storedWriter: 0 },
  problems: [],
  versioned: false,
};
const IGNORED: StoreFindings = { ...ATOMIC, second: 'won' };

/** The store and clock that all replicas of a test share. */
function openStore() {
  const small = fakeChunkStore();
  const shared = {
    findings: ATOMIC as StoreFindings | Error,
    probes: 0,
    small,
    clock: fakeClock(),
  };
  // Registered first, so called last: no replica may have left a timer.
  onTestFinished(() => expect(shared.clock.pending()).toBe(0));
  return shared;
}

function openReplica(
  shared: { findings: StoreFindings | Error; probes: number; small: FakeChunkStore; clock: FakeClock },
  peers: PeerSet = alone(),
) {
  const trusted: boolean[] = [];
  const warnings: string[] = [];
  const verdicts: [StoreVerdict['condition'], string][] = [];
  const outcomes: string[] = [];
  const store: ProbedStore = {
    ...shared.small,
    probe: async () => {
      shared.probes += 1;
      if (shared.findings instanceof Error) throw shared.findings;
      return shared.findings;
    },
    trustConditions: (isTrusted) => trusted.push(isTrusted),
  };
  const probe = new StoreProbe({
    guarded: shared.small,
    store,
    peers: {
      current: () => peers,
      onChange: () => () => {},
      ready: async () => {},
      staleMs: () => 0,
      close: async () => {},
    },
    clock: shared.clock,
    random: () => 0.999,
    observer: {
      storeRequest: (operation, outcome) => outcomes.push(`${operation} ${outcome}`),
      warn: (message) => warnings.push(message),
    },
    onVerdict: ({ condition }, source) => verdicts.push([condition, source]),
  });
  const ended = new AbortController();
  const running = probe.run(ended.signal);
  onTestFinished(async () => {
    ended.abort(new Error('the test is over'));
    await running;
  });
  return { probe, trusted, warnings, verdicts, outcomes };
}

function alone(): PeerSet {
  return viewsOf(1)[0]!;
}

/** The views of `count` replicas, in the order in which they probe. */
function viewsOf(count: number): PeerSet[] {
  const ips = Array.from({ length: count }, (_, index) => `10.0.0.${index + 1}`);
  const endpoints = ips.map((ip) => ({ addresses: [ip], conditions: { serving: true } }));
  const views = ips.map((ip) => peerSetOf([{ addressType: 'IPv4', endpoints }], { ip, port: 8444 }));
  const order = rankPeers<PeerAddress>('_orca/store-verdict', views[0]!.owners);
  return order.map((address) => views.find(({ self }) => self === address)!);
}

test('an atomic store is trusted, and the verdict is recorded in it', async () => {
  const shared = openStore();
  const { probe, trusted, outcomes } = openReplica(shared);
  expect(probe.condition).toBe('unknown');
  expect(probe.describe()).toContain('has not been probed yet');
  await shared.clock.advance(0);
  expect(probe.condition).toBe('atomic');
  expect(probe.describe()).toMatch(/^atomic: /);
  expect(trusted).toEqual([true]);
  expect(outcomes).toEqual(['probe atomic']);
  // A replica that starts now reads the verdict from there.
  const second = openReplica(shared);
  await shared.clock.advance(0);
  expect(second.probe.verdict).toEqual(probe.verdict);
  expect(second.verdicts).toEqual([['atomic', 'noted']]);
  expect(second.trusted).toEqual([true]);
  expect(shared.probes).toBe(1);
});

test('a store without atomic conditional writes, or that does not return what was written, is not trusted', async () => {
  const ignoring = openStore();
  ignoring.findings = IGNORED;
  const damaging = openStore();
  damaging.findings = { ...ATOMIC, problems: ['metadata'] };
  const keeping = openStore();
  keeping.findings = { ...ATOMIC, problems: ['list', 'delete'] };
  const replicas = [ignoring, damaging, keeping].map((shared) => openReplica(shared));
  for (const shared of [ignoring, damaging, keeping]) await shared.clock.advance(0);
  expect(replicas.map(({ trusted }) => trusted)).toEqual([[false], [false], [true]]);
  expect(replicas.map(({ probe }) => probe.condition)).toEqual(['ignored', 'atomic', 'atomic']);
});

test('of three replicas that start together, one probes', async () => {
  const shared = openStore();
  const replicas = viewsOf(3).map((peers) => openReplica(shared, peers));
  await shared.clock.advance(0);
  expect(replicas.map(({ probe }) => probe.condition)).toEqual(['atomic', 'unknown', 'unknown']);
  await shared.clock.advance(20_000);
  expect(replicas.map(({ probe }) => probe.condition)).toEqual(['atomic', 'atomic', 'atomic']);
  expect(shared.probes).toBe(1);
});

test('the next replica probes where the first one does not', async () => {
  const shared = openStore();
  const [, second, third] = viewsOf(3).map((peers, rank) => (rank === 0 ? undefined : openReplica(shared, peers)));
  await shared.clock.advance(9_000);
  expect(shared.probes).toBe(0);
  await shared.clock.advance(20_000);
  expect(shared.probes).toBe(1);
  expect(second!.verdicts).toEqual([['atomic', 'probed']]);
  expect(third!.verdicts).toEqual([['atomic', 'noted']]);
});

test('a store that does not permit to delete is probed again after an hour', async () => {
  const shared = openStore();
  shared.findings = { ...ATOMIC, problems: ['delete'] };
  const { probe } = openReplica(shared);
  await shared.clock.advance(60 * 60_000 - 1_000);
  expect([shared.probes, probe.verdict?.problems]).toEqual([1, ['delete']]);
  shared.findings = ATOMIC;
  await shared.clock.advance(1_000);
  expect([shared.probes, probe.verdict?.problems]).toEqual([2, []]);
  await shared.clock.advance(60 * 60_000);
  expect(shared.probes).toBe(2);
});

test('the store is probed again after a day, and the last verdict holds until then', async () => {
  const shared = openStore();
  const { probe, trusted } = openReplica(shared);
  await shared.clock.advance(DAY_MS - 1_000);
  expect(shared.probes).toBe(1);
  shared.findings = IGNORED;
  await shared.clock.advance(2_000);
  expect(shared.probes).toBe(2);
  expect(probe.condition).toBe('ignored');
  expect(trusted).toEqual([true, false]);

  shared.small.down = new OrcaError('store_unavailable', 'down');
  await shared.clock.advance(DAY_MS);
  expect(probe.condition).toBe('ignored');
});

test('while the store is down it is checked again soon, and probed when it is available', async () => {
  const shared = openStore();
  shared.small.down = new OrcaError('store_unavailable', 'down');
  const { probe, warnings } = openReplica(shared);
  await shared.clock.advance(10 * 60_000);
  expect(shared.probes).toBe(0);
  expect(probe.describe()).toContain('down');
  // Logged once.
  expect(warnings).toHaveLength(1);
  shared.small.down = undefined;
  await shared.clock.advance(60_000);
  expect(probe.condition).toBe('atomic');
  expect(shared.probes).toBe(1);
});

test('a probe that fails or is inconclusive is repeated with growing pauses', async () => {
  const shared = openStore();
  shared.findings = new OrcaError('store_unavailable', 'refused', { status: 403 });
  const { probe, outcomes, trusted } = openReplica(shared);
  await shared.clock.advance(60 * 60_000);
  // After 1, 2, 4, 8 and 16 minutes, and then hourly.
  expect(shared.probes).toBe(6);
  expect(outcomes.at(-1)).toBe('probe error');
  shared.findings = { ...ATOMIC, race: { outcomes: ['taken', 'taken'], storedWriter: undefined } };
  await shared.clock.advance(4 * 60 * 60_000);
  expect(probe.condition).toBe('unknown');
  expect(trusted).toEqual([]);
  shared.findings = ATOMIC;
  await shared.clock.advance(60 * 60_000);
  expect(probe.condition).toBe('atomic');
});

test('a verdict that cannot be recorded still holds at this replica', async () => {
  const shared = openStore();
  const { small } = shared;
  shared.small = {
    ...small,
    putSmall: () => Promise.reject(new OrcaError('store_unavailable', 'read only')),
  };
  const { probe, warnings, outcomes } = openReplica(shared);
  await shared.clock.advance(0);
  expect(probe.condition).toBe('atomic');
  expect(warnings).toHaveLength(1);
  expect(outcomes).toEqual(['probe atomic']);
});
