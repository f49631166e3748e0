import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { pinsHandler, type PinsOptions } from '#cache/http/ops/pins.ts';
import { prewarmsHandler } from '#cache/http/ops/prewarms.ts';
import { MAX_REPORTS, parsePrewarmReports, PREWARMS_PATH, type PrewarmReport } from '#shared/prewarm-report.ts';

function appOf(list: () => Promise<unknown>): Hono {
  const engine = { capacity: { pins: { list } } } as unknown as PinsOptions['engine'];
  const pinOwner = (pin: string) => (pin === 'llama-1' ? { prewarm: 'llama', uid: 'u' } : undefined);
  return new Hono().get('/pins', pinsHandler({ engine, pinOwner }));
}

describe('/pins', () => {
  it('lists pins with the prewarm that each belongs to', async () => {
    const pins = [
      { name: 'llama-1', expiresMs: 5, sizeBytes: 7, versions: 2 },
      { name: 'other', expiresMs: null, sizeBytes: 8, versions: 3 },
    ];
    const response = await appOf(async () => pins).request('/pins');
    expect(await response.json()).toEqual({
      pins: [{ ...pins[0], prewarm: 'llama', uid: 'u' }, pins[1]],
    });
  });

  it('is a Status with the reason when the cachestore does not answer', async () => {
    const failing = () => Promise.reject(new OrcaError('store_unavailable', 'the cachestore is down'));
    const response = await appOf(failing).request('/pins');
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ kind: 'Status', code: 503, message: 'the cachestore is down' });
  });
});

describe('/prewarms', () => {
  it('has the reports, and no more than a reader takes', async () => {
    const report = { uid: 'u', name: 'llama', run: 1, state: 'running' } as PrewarmReport;
    const many = Array.from({ length: MAX_REPORTS + 1 }, (_, run) => ({ ...report, run: run + 1 }));
    const app = new Hono().get(PREWARMS_PATH, prewarmsHandler({ prewarms: () => many }));
    const { prewarms } = (await (await app.request(PREWARMS_PATH)).json()) as { prewarms: unknown[] };
    expect(prewarms).toHaveLength(MAX_REPORTS);
    expect(parsePrewarmReports(JSON.stringify({ prewarms }))).toHaveLength(MAX_REPORTS);
  });
});
