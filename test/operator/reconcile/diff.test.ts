import { describe, expect, test } from 'vitest';
import { diff } from '#operator/reconcile/diff.ts';

describe('diff', () => {
  test.for([
    ['equal values', { spec: { a: 1 } }, { spec: { a: 1 } }],
    ['a default of the API server', { spec: { a: 1 } }, { spec: { a: 1, b: 2 } }],
    ['a dropped empty map', { spec: { nodeSelector: {} } }, { spec: {} }],
    ['a dropped empty list', { tolerations: [] }, {}],
    ['defaults in list items', { ports: [{ containerPort: 1 }] }, { ports: [{ containerPort: 1, x: 2 }] }],
    [
      'an item of another manager in a keyed list',
      { env: [{ name: 'A', value: '1' }] },
      {
        env: [
          { name: 'SIDE', value: '2' },
          { name: 'A', value: '1' },
        ],
      },
    ],
    ['a quantity in its canonical form', { limits: { memory: '1024Mi' } }, { limits: { memory: '1Gi' } }],
    ['a quantity in thousandths', { requests: { cpu: '1000m' } }, { requests: { cpu: '1' } }],
  ] as const)('ignores %s', ([, desired, live]) => {
    expect(diff(desired, live)).toBeUndefined();
  });

  test.for([
    ['a changed value', { spec: { a: 1 } }, { spec: { a: 2 } }, 'spec.a'],
    ['a removed value', { spec: { a: 1 } }, { spec: {} }, 'spec.a'],
    ['a removed map', { spec: { a: { b: 1 } } }, {}, 'spec'],
    ['a missing item of a keyed list', { env: [{ name: 'A' }] }, { env: [{ name: 'B' }] }, 'env.0'],
    [
      'a changed item of a keyed list',
      { volumes: [{ name: 'a', s: 1 }] },
      { volumes: [{ name: 'a', s: 2 }] },
      'volumes.0.s',
    ],
    [
      'an additional item in an atomic list',
      { rules: [{ verbs: ['get'] }] },
      { rules: [{ verbs: ['get', '*'] }] },
      'rules.0.verbs',
    ],
    ['another quantity', { limits: { memory: '1Gi' } }, { limits: { memory: '1G' } }, 'limits.memory'],
    ['text that only looks like an equal quantity', { data: { x: '1000m' } }, { data: { x: '1' } }, 'data.x'],
    [
      'an additional label in a selector',
      { spec: { selector: { a: '1' } } },
      { spec: { selector: { a: '1', b: '2' } } },
      'spec.selector',
    ],
    ['another type', { a: '1' }, { a: 1 }, 'a'],
  ] as const)('finds %s', ([, desired, live, path]) => {
    expect(diff(desired, live)).toBe(path);
  });
});
