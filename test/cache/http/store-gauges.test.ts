import { Gauge, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { minuteOf } from '#cache/core/capacity/chunk-key.ts';
import { DEFAULT_CAPACITY } from '#cache/core/capacity/settings.ts';
import type { StoreAccount } from '#cache/core/capacity/store-account.ts';
import type { Capacity } from '#cache/engine/capacity/capacity.ts';
import { storeGauges } from '#cache/http/store-gauges.ts';
import { ACCOUNT } from '#test/support/store-account.ts';

const START_MS = Date.UTC(2026, 4, 1);

function world() {
  let [nowMs, account, cutoff, oldestMs] = [START_MS, ACCOUNT, undefined, undefined] as [
    number,
    StoreAccount,
    number | undefined,
    number | undefined,
  ];
  const capacity = {
    account: () => account,
    settings: () => DEFAULT_CAPACITY,
    cutoffMinute: () => cutoff,
    oldestSweepMs: () => oldestMs,
  } as Partial<Capacity> as Capacity;
  const registry = new Registry();
  for (const { spec, collect } of storeGauges(() => capacity, { date: () => nowMs })) {
    const { name, help, labels = {} } = spec;
    const made: Gauge = new Gauge({
      name,
      help,
      labelNames: Object.keys(labels),
      registers: [],
      collect: () => collect(made),
    });
    registry.registerMetric(made);
  }
  return {
    set: (change: Partial<StoreAccount>): void => {
      account = { ...account, ...change };
    },
    evict: (minute: number | undefined) => void (cutoff = minute),
    swept: (ms: number) => void (oldestMs = ms),
    wait: (ms: number) => void (nowMs += ms),
    samples: async (): Promise<Record<string, number>> => {
      const text = await registry.metrics();
      const lines = text.split('\n').filter((line) => line.startsWith('orca'));
      return Object.fromEntries(
        lines.map((line) => line.split(' ')).map(([name = '', value]) => [name, Number(value)]),
      );
    },
  };
}

test('the whole store is reported, with its state', async () => {
  const { samples } = world();
  expect(await samples()).toEqual({
    'orca_store_state{state="counting"}': 0,
    'orca_store_state{state="ok"}': 1,
    'orca_store_state{state="evicting"}': 0,
    'orca_store_state{state="over_capacity"}': 0,
    'orca_store_state{state="full"}': 0,
    orca_store_used_bytes: 900,
    orca_store_capacity_bytes: 1000,
    orca_store_pinned_bytes: 100,
    orca_store_foreign_bytes: 7,
    orca_store_chunks: 3,
    orca_sweep_age_seconds: 0,
    orca_sweep_interval_seconds: 3600,
  });
});

test('figures that are not known have no sample until they are known again', async () => {
  const { samples, set } = world();
  await samples();
  set({ state: 'counting', capacityBytes: undefined });
  const counting = await samples();
  for (const name of ['used_bytes', 'capacity_bytes', 'pinned_bytes', 'chunks'])
    expect(counting).not.toHaveProperty(`orca_store_${name}`);
  expect(counting['orca_store_state{state="counting"}']).toBe(1);
  set({ state: 'ok' });
  expect((await samples())['orca_store_used_bytes']).toBe(900);
});

test('the age of the sweep counts from the start until all shards have been swept', async () => {
  const { samples, swept, wait } = world();
  wait(90_000);
  expect((await samples())['orca_sweep_age_seconds']).toBe(90);
  swept(START_MS + 80_000);
  expect((await samples())['orca_sweep_age_seconds']).toBe(10);
  swept(START_MS + 100_000);
  expect((await samples())['orca_sweep_age_seconds']).toBe(0);
});

test('the age at eviction is reported while chunks are evicted', async () => {
  const { samples, evict } = world();
  expect(await samples()).not.toHaveProperty('orca_store_cutoff_age_seconds');
  evict(minuteOf(START_MS) - 59.5);
  expect((await samples())['orca_store_cutoff_age_seconds']).toBe(3630);
  evict(undefined);
  expect(await samples()).not.toHaveProperty('orca_store_cutoff_age_seconds');
});
