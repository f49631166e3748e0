/** docs/reference/metrics.md against the code: names, labels, and the values of each label. */
import { readFileSync } from 'node:fs';
import type { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { BucketTable } from '#cache/engine/buckets/bucket-rule.ts';
import { GAUGES } from '#cache/http/gauge-catalog.ts';
import { COUNTERS, ERROR_CODE, HISTOGRAMS, type MetricSpec } from '#cache/http/metric-catalog.ts';
import { openMetrics as openCacheMetrics } from '#cache/http/metrics.ts';
import type { Condition } from '#operator/api/orca-cache.ts';
import { openMetrics as openOperatorMetrics } from '#operator/http/metrics.ts';
import { WorkQueue } from '#operator/control/work-queue.ts';
import { systemClock } from '#shared/clock.ts';
import { openLog } from '#shared/log.ts';

/** Labels and their values, sorted; no values = not listed. */
type Labels = Readonly<Record<string, readonly string[]>>;

const page = readFileSync('docs/reference/metrics.md', 'utf8');

/** The metrics of one program: the table below its heading. */
function documented(heading: string): Record<string, Labels> {
  const section = page.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  const rows = [...section.matchAll(/^\| `([\w:]+)` \|([^|]*)\|/gm)];
  return Object.fromEntries(rows.map(([, name, labels = '']) => [name, parseLabels(labels)]));
}

/** `` `a`: `x`, `y`; `b` ``, where `an error code` stands for all of them. */
function parseLabels(cell: string): Labels {
  const labels = cell
    .replace('an error code', `\`${ERROR_CODE}\``)
    .split(';')
    .map((part) => [...part.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text));
  return Object.fromEntries(labels.flatMap(([label, ...values]) => (label ? [[label, values.toSorted()]] : [])));
}

/** Node's own metrics are documented as a whole. */
function ownNames(registry: Registry): string[] {
  return registry
    .getMetricsAsArray()
    .map(({ name }) => name)
    .filter((name) => !/^(process|nodejs)_/.test(name));
}

/** Labels and values of all current samples. */
async function sampled(registry: Registry): Promise<Record<string, Record<string, Set<string>>>> {
  const metrics: Record<string, Record<string, Set<string>>> = {};
  const names = new Set(ownNames(registry));
  for (const metric of await registry.getMetricsAsJSON()) {
    if (!names.has(metric.name)) continue;
    const labels = (metrics[metric.name] = {} as Record<string, Set<string>>);
    for (const sample of metric.values)
      for (const [label, value] of Object.entries(sample.labels))
        if (label !== 'le') (labels[label] ??= new Set()).add(String(value));
  }
  return metrics;
}

/** The gauges are registered, but never read. */
const UNREAD = {} as never;

describe('docs/reference/metrics.md', () => {
  test('lists exactly the metrics, labels and values of a cache pod', () => {
    const specs: readonly MetricSpec[] = [COUNTERS, HISTOGRAMS, GAUGES].flatMap((group) => Object.values(group));
    const declared: Record<string, Labels> = {};
    for (const { name, labels = {} } of specs)
      declared[name] = Object.fromEntries(Object.entries(labels).map(([label, values]) => [label, values.toSorted()]));
    expect(documented('Cache pods')).toEqual(declared);
    const metrics = openCacheMetrics({
      buckets: new BucketTable([]),
      costs: { egressPerGB: 1, per1000Requests: 1 },
      log: openLog({ name: 'test', level: 'error' }),
    });
    metrics.watch({ engine: UNREAD, peers: UNREAD, storeProbe: UNREAD, liveness: UNREAD });
    metrics.watchPrewarms({ count: 0 });
    expect(ownNames(metrics.registry).toSorted()).toEqual(Object.keys(declared).toSorted());
  });

  test('lists exactly the metrics and labels of the operator, and the values of closed labels', async () => {
    const metrics = openOperatorMetrics('0', 'localhost');
    for (const name of ['orcacache', 'orcaprewarm', 'schedulinggate'] as const) {
      const controller = metrics.controller(name);
      const { queueObserver, reconciled } = controller;
      const queue = new WorkQueue({ clock: systemClock, observe: queueObserver });
      controller.watchQueue(() => queue, 1);
      reconciled('success', 1);
      queueObserver.taken(1);
      queueObserver.finished(1);
    }
    metrics.requested('GET', 200, 1);
    metrics.recordConditions('namespace/name', ['True', 'False', 'Unknown'].map(conditionOf));
    metrics.recordPrewarmConditions('namespace/name', ['True', 'False', 'Unknown'].map(conditionOf));
    const samples = await sampled(metrics.registry);
    const pages = documented('Operator');
    expect(Object.keys(pages).toSorted()).toEqual(Object.keys(samples).toSorted());
    for (const [name, labels] of Object.entries(pages)) {
      expect([name, Object.keys(labels).toSorted()]).toEqual([name, Object.keys(samples[name] ?? {}).toSorted()]);
      for (const [label, values] of Object.entries(labels))
        if (values.length > 0) expect([name, values]).toEqual([name, [...(samples[name]?.[label] ?? [])].toSorted()]);
    }
  });
});

function conditionOf(status: string): Condition {
  return {
    type: status,
    status: status as Condition['status'],
    reason: 'Progressing',
    message: '',
    observedGeneration: 1,
    lastTransitionTime: '2026-05-01T00:00:00Z',
  };
}
