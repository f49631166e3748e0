import { Hono } from 'hono';
import { describe, expect, test } from 'vitest';
import { DEFAULT_CAPACITY } from '#cache/core/capacity/settings.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { Capacity } from '#cache/engine/capacity/capacity.ts';
import { storeFigures, storeHandler } from '#cache/http/ops/store.ts';
import { parsePodReport } from '#operator/reconcile/parse-pod-report.ts';
import { ACCOUNT } from '#test/support/store-account.ts';

const PIN = { name: 'nightly', expiresMs: null, sizeBytes: 100, versions: 1 };

async function getStore(pins: () => Promise<readonly (typeof PIN)[]>): Promise<unknown> {
  const capacity = { account: () => ACCOUNT, settings: () => DEFAULT_CAPACITY, pins: { list: pins } };
  const app = new Hono();
  app.get('/store', storeHandler({ engine: { capacity: capacity as unknown as Capacity } }));
  const response = await app.request('/store');
  return response.json();
}

describe('GET /store', () => {
  test('has the account by bucket and by age, the pins and the limits', async () => {
    expect(await getStore(async () => [PIN])).toEqual({
      ...ACCOUNT,
      byBucket: { 'acme-models': 800, _other: 100 },
      highWatermark: 90,
      lowWatermark: 80,
      sweepIntervalMs: 3_600_000,
      pins: [PIN],
    });
  });

  test('has the account also while the pins cannot be read', async () => {
    const unavailable = () => Promise.reject(new OrcaError('store_unavailable', 'no answer'));
    expect(await getStore(unavailable)).toMatchObject({ usedBytes: 900, pinsError: 'no answer' });
  });
});

describe('the figures in /status', () => {
  test('are those that the operator reads, without lists', () => {
    const figures = storeFigures({ ...ACCOUNT, blocked: 'recent' });
    expect(Object.keys(figures)).not.toContain('byBucket');
    expect(parsePodReport(JSON.stringify({ capacity: figures })).capacity).toEqual({
      state: 'ok',
      usedBytes: 900,
      chunks: 3,
      pinnedBytes: 100,
      capacityBytes: 1000,
      foreignBytes: 7,
      oldestReadMs: 29_000_000 * 60_000,
      lastSweepMs: 1_777_000_000_000,
      oldestSweepMs: 1_776_999_000_000,
      blocked: 'recent',
      evictionDenied: '',
    });
  });
});
