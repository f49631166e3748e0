import { readFileSync } from 'node:fs';
import type { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { openMetrics as openCacheMetrics } from '#cache/http/metrics.ts';
import { openMetrics as openOperatorMetrics } from '#operator/http/metrics.ts';
import { WorkQueue } from '#operator/control/work-queue.ts';
import { systemClock } from '#shared/clock.ts';
import { openLog } from '#shared/log.ts';

const page = readFileSync('docs/reference/metrics.md', 'utf8');

/** The tables of one program, up to the next program's heading. */
function section(heading: string): string {
  return page.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
}

function documented(text: string): string[] {
  return [...text.matchAll(/^\| `([\w:]+)` \|/gm)].map(([, name]) => name ?? '').toSorted();
}

/** Node's own are documented as one. */
async function ours(registry: Registry): Promise<string[]> {
  return registry
    .getMetricsAsArray()
    .map(({ name }) => name)
    .filter((name) => !/^(process|nodejs)_/.test(name))
    .toSorted();
}

/** Gauges read from these only when somebody asks for their value, which nobody does here. */
const UNREAD = {} as never;

describe('docs/reference/metrics.md', () => {
  test('lists the metrics of a cache pod, all of them and no other', async () => {
    const metrics = openCacheMetrics(openLog({ name: 'test', level: 'error' }));
    metrics.watch(UNREAD, UNREAD, UNREAD);
    expect(documented(section('Cache pods'))).toEqual(await ours(metrics.registry));
  });

  test('lists the metrics of the operator, all of them and no other', async () => {
    const metrics = openOperatorMetrics('0', 'localhost');
    const queue = new WorkQueue({ clock: systemClock, observe: metrics.queueObserver });
    metrics.watchQueue(() => queue, 1);
    expect(documented(section('Operator'))).toEqual(await ours(metrics.registry));
  });
});
