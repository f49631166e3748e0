import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import type { Condition } from '#operator/api/orca-cache.ts';
import { openConditionGauge } from '#operator/http/condition-gauge.ts';

const condition = (type: string, status: Condition['status']): Condition => ({
  type,
  status,
  reason: 'Progressing',
  message: '',
  observedGeneration: 1,
  lastTransitionTime: '2026-05-01T00:00:00Z',
});

async function samples(registry: Registry): Promise<string[]> {
  const text = await registry.metrics();
  return text.split('\n').filter((line) => line.startsWith('orcacache_condition{'));
}

test('a condition has one sample, for its current status', async () => {
  const registry = new Registry();
  const gauge = openConditionGauge(registry, 'orcacache_condition', 'cache');
  gauge.record('ml/models', [condition('Ready', 'False'), condition('Stalled', 'False')]);
  gauge.record('ml/models', [condition('Ready', 'True'), condition('Stalled', 'False')]);
  gauge.record('data/data', [condition('Ready', 'Unknown')]);
  expect(await samples(registry)).toEqual([
    'orcacache_condition{namespace="ml",name="models",type="Ready",status="True"} 1',
    'orcacache_condition{namespace="ml",name="models",type="Stalled",status="False"} 1',
    'orcacache_condition{namespace="data",name="data",type="Ready",status="Unknown"} 1',
  ]);
});

test('a deleted cache has no samples, and neither has an operator that lost leadership', async () => {
  const registry = new Registry();
  const gauge = openConditionGauge(registry, 'orcacache_condition', 'cache');
  gauge.record('ml/models', [condition('Ready', 'True')]);
  gauge.record('ml/other', [condition('Ready', 'True')]);
  gauge.record('ml/models', undefined);
  expect(await samples(registry)).toHaveLength(1);
  gauge.clear();
  expect(await samples(registry)).toEqual([]);
});
