import { describe, expect, test } from 'vitest';
import { parseSettings } from '#operator/settings.ts';

const GOOD = { CACHE_IMAGE: 'orcacache/cache:1' };

describe('the settings of the operator', () => {
  test('have defaults for all but the image', () => {
    expect(parseSettings(GOOD, [])).toEqual({
      ok: true,
      settings: {
        image: 'orcacache/cache:1',
        imagePullPolicy: 'IfNotPresent',
        namespaces: [],
        podName: undefined,
        lease: undefined,
        logLevel: 'info',
        kubeconfig: undefined,
        probePort: 8081,
        metricsPort: 8080,
      },
    });
  });

  test('take an empty variable for one that is not set, as charts write them', () => {
    expect(parseSettings({ ...GOOD, WATCH_NAMESPACES: '', LOG_LEVEL: '' }, [])).toMatchObject({ ok: true });
  });

  test('name the Lease of the pod’s namespace, and of the release where the chart says which', () => {
    expect(parseSettings({ ...GOOD, POD_NAMESPACE: 'orca-system' }, [])).toMatchObject({
      settings: { lease: { namespace: 'orca-system', name: 'orca-operator' } },
    });
    expect(parseSettings({ ...GOOD, LEASE_NAMESPACE: 'a', LEASE_NAME: 'b', POD_NAMESPACE: 'c' }, [])).toMatchObject({
      settings: { lease: { namespace: 'a', name: 'b' } },
    });
  });

  test('read namespaces from a list, each once', () => {
    expect(parseSettings({ ...GOOD, WATCH_NAMESPACES: 'a, b,a' }, [])).toMatchObject({
      settings: { namespaces: ['a', 'b'] },
    });
  });

  test.for([[['--kubeconfig', 'f']], [['--kubeconfig=f']]] as const)('take a kubeconfig as %j', ([args]) => {
    expect(parseSettings(GOOD, args)).toMatchObject({ settings: { kubeconfig: 'f' } });
  });

  test.for<readonly [string, Record<string, string>, readonly string[], string]>([
    ['no image', {}, [], 'CACHE_IMAGE is not set: it names the image of the cache pods'],
    ['an empty image', { CACHE_IMAGE: '' }, [], 'CACHE_IMAGE is not set: it names the image of the cache pods'],
    [
      'a bad pull policy',
      { ...GOOD, CACHE_IMAGE_PULL_POLICY: 'Sometimes' },
      [],
      'CACHE_IMAGE_PULL_POLICY must be one of Always, IfNotPresent, Never, not "Sometimes"',
    ],
    [
      'a bad level',
      { ...GOOD, LOG_LEVEL: 'loud' },
      [],
      'LOG_LEVEL must be one of debug, info, warn, error, not "loud"',
    ],
    [
      'too many namespaces',
      { ...GOOD, WATCH_NAMESPACES: Array.from({ length: 51 }, (_, index) => `n${index}`).join(',') },
      [],
      'WATCH_NAMESPACES may name at most 50 namespaces; leave it empty to watch all',
    ],
    [
      'bad namespaces',
      { ...GOOD, WATCH_NAMESPACES: 'a,,B_' },
      [],
      'WATCH_NAMESPACES must be namespaces separated by commas; "", "B_" can\'t be one',
    ],
    ['a bad port', { ...GOOD, PROBE_PORT: '70000' }, [], 'PROBE_PORT must be a port, not "70000"'],
    ['a flag without its value', GOOD, ['--kubeconfig'], 'the only argument is --kubeconfig FILE, not --kubeconfig'],
    ['an unknown flag', GOOD, ['--help'], 'the only argument is --kubeconfig FILE, not --help'],
  ])('refuse %s in one line', ([, env, args, line]) => {
    expect(parseSettings(env, args)).toEqual({ ok: false, mistakes: [line] });
  });

  test('name all mistakes at once', () => {
    expect(parseSettings({ LOG_LEVEL: 'x', PROBE_PORT: 'y' }, ['z'])).toMatchObject({ mistakes: { length: 4 } });
  });
});
