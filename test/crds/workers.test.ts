import { describe, expect, test } from 'vitest';
import { podConfig } from '#crds/pod-config.ts';
import { workerCount } from '#crds/schema/workers.ts';
import { parseOrcaCache } from '#crds/validate.ts';
import { accepted, sampleWith } from './sample.ts';

type Resources = { readonly requests?: object; readonly limits?: object };

const GENEROUS = { memory: '64Gi' };

function count(workers: string | number, resources: Resources, more: Readonly<Record<string, unknown>> = {}): number {
  return workerCount(
    accepted(sampleWith({ 'spec.pod.workers': workers, 'spec.pod.resources': resources, ...more })).spec,
  );
}

describe('the number of workers', () => {
  test('is 1 by default', () => {
    expect(workerCount(accepted(sampleWith({})).spec)).toBe(1);
  });

  test.for([
    [3, 3],
    ['3', 3],
    [16, 16],
  ] as const)('is what the spec says: %s', ([workers, expected]) => {
    expect(count(workers, { limits: GENEROUS })).toBe(expected);
  });

  test.for([
    ['a CPU limit', { limits: { cpu: 4, ...GENEROUS } }, 4],
    ['the limit before the request', { requests: { cpu: 1 }, limits: { cpu: '3', ...GENEROUS } }, 3],
    ['a request, without a limit', { requests: { cpu: '2' }, limits: GENEROUS }, 2],
    ['thousandths, rounded up', { requests: { cpu: '2100m' }, limits: GENEROUS }, 3],
    ['exact thousandths', { requests: { cpu: '7000m' }, limits: GENEROUS }, 7],
    ['a fraction', { requests: { cpu: '1.1' }, limits: GENEROUS }, 2],
    ['less than a core', { requests: { cpu: '250m' }, limits: GENEROUS }, 1],
    ['no core', { requests: { cpu: 0 }, limits: GENEROUS }, 1],
    ['no CPU in the resources', { limits: GENEROUS }, 1],
    ['more cores than workers are possible', { requests: { cpu: 64 }, limits: GENEROUS }, 16],
    ['half of the memory limit for chunks', { requests: { cpu: 8 }, limits: { memory: '4Gi' } }, 4],
    ['a memory limit as a fraction', { requests: { cpu: 8 }, limits: { memory: '2.5Gi' } }, 2],
    ['no memory limit', { requests: { cpu: 8 } }, 2],
  ] as const)('auto: %s', ([, resources, expected]) => {
    expect(count('auto', resources)).toBe(expected);
  });

  test('auto leaves each worker its memory beside the budget', () => {
    const resources = { requests: { cpu: 8 }, limits: { memory: '4Gi' } };
    expect(count('auto', resources, { 'spec.memory.budget': '3Gi' })).toBe(2);
    // 8 MiB chunks: what limits the number is the memory of the processes.
    expect(count('auto', resources, { 'spec.chunking.tiers': [] })).toBe(5);
  });

  test('auto never gives a number that the rules reject', () => {
    for (let mebibytes = 1024; mebibytes <= 16_384; mebibytes += 333)
      for (const tiers of [undefined, []]) {
        const resources = { requests: { cpu: 16 }, limits: { memory: `${mebibytes}Mi` } };
        const fixed = (workers: number) =>
          parseOrcaCache(
            sampleWith({
              'spec.pod.workers': workers,
              'spec.pod.resources': resources,
              'spec.chunking.tiers': tiers,
            }),
          ).ok;
        const chosen = count('auto', resources, { 'spec.chunking.tiers': tiers });
        expect([mebibytes, fixed(chosen)]).toEqual([mebibytes, true]);
        // And it is the largest number that they accept.
        expect([mebibytes, chosen === 16 || !fixed(chosen + 1)]).toEqual([mebibytes, true]);
      }
  });
});

describe("the pod's config file", () => {
  test('contains the number of workers, never auto', () => {
    const cache = accepted(sampleWith({ 'spec.pod.workers': 'auto', 'spec.pod.resources': { requests: { cpu: 2 } } }));
    expect(podConfig(cache)).toMatchObject({ workers: 2 });
  });

  test('contains no number for a single worker, so that an image of an older release accepts it', () => {
    expect(podConfig(accepted(sampleWith({ 'spec.pod.workers': 1 })))).not.toHaveProperty('workers');
  });
});
