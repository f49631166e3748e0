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

test('a condition has one sample, for the status that it has now', async () => {
  const registry = new Registry();
  const gauge = openConditionGauge(registry);
  gauge.state('ml/models', [condition('Ready', 'False'), condition('Stalled', 'False')]);
  gauge.state('ml/models', [condition('Ready', 'True'), condition('Stalled', 'False')]);
  gauge.state('data/data', [condition('Ready', 'Unknown')]);
  expect(await samples(registry)).toEqual([
    'orcacache_condition{namespace="ml",name="models",type="Ready",status="True"} 1',
    'orcacache_condition{namespace="ml",name="models",type="Stalled",status="False"} 1',
    'orcacache_condition{namespace="data",name="data",type="Ready",status="Unknown"} 1',
  ]);
});

test('a cache that is gone, or that another operator looks after now, has none', async () => {
  const registry = new Registry();
  const gauge = openConditionGauge(registry);
  gauge.state('ml/models', [condition('Ready', 'True')]);
  gauge.state('ml/other', [condition('Ready', 'True')]);
  gauge.state('ml/models', undefined);
  expect(await samples(registry)).toHaveLength(1);
  gauge.forget();
  expect(await samples(registry)).toEqual([]);
});
