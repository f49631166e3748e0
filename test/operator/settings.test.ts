import { describe, expect, test } from 'vitest';
import { parseSettings } from '#operator/settings.ts';

const GOOD = { CACHE_IMAGE: 'orcacache/cache:1' };

describe('parseSettings', () => {
  test('has defaults for everything but the image', () => {
    expect(parseSettings(GOOD, [])).toEqual({
      ok: true,
      settings: {
        image: 'orcacache/cache:1',
        imagePullPolicy: 'IfNotPresent',
        namespaces: [],
        podName: undefined,
        lease: undefined,
        schedulingGates: false,
        logLevel: 'info',
        kubeconfig: undefined,
        probePort: 8081,
        metricsPort: 8080,
      },
    });
  });

  test('treats an empty variable as unset, as charts render it', () => {
    expect(parseSettings({ ...GOOD, WATCH_NAMESPACES: '', LOG_LEVEL: '' }, [])).toMatchObject({ ok: true });
  });

  test('takes the lease from the pod’s namespace, and from LEASE_NAMESPACE and LEASE_NAME if set', () => {
    expect(parseSettings({ ...GOOD, POD_NAMESPACE: 'orca-system' }, [])).toMatchObject({
      settings: { lease: { namespace: 'orca-system', name: 'orca-operator' } },
    });
    expect(parseSettings({ ...GOOD, LEASE_NAMESPACE: 'a', LEASE_NAME: 'b', POD_NAMESPACE: 'c' }, [])).toMatchObject({
      settings: { lease: { namespace: 'a', name: 'b' } },
    });
  });

  test('reads a comma-separated list of namespaces without duplicates', () => {
    expect(parseSettings({ ...GOOD, WATCH_NAMESPACES: 'a, b,a' }, [])).toMatchObject({
      settings: { namespaces: ['a', 'b'] },
    });
  });

  test('releases gated pods only with SCHEDULING_GATES', () => {
    expect(parseSettings({ ...GOOD, SCHEDULING_GATES: 'true' }, [])).toMatchObject({
      settings: { schedulingGates: true },
    });
    expect(parseSettings({ ...GOOD, SCHEDULING_GATES: 'yes' }, [])).toEqual({
      ok: false,
      problems: ['SCHEDULING_GATES must be one of true, false, not "yes"'],
    });
  });

  test.for([[['--kubeconfig', 'f']], [['--kubeconfig=f']]] as const)('accepts a kubeconfig as %j', ([args]) => {
    expect(parseSettings(GOOD, args)).toMatchObject({ settings: { kubeconfig: 'f' } });
  });

  test.for<readonly [string, Record<string, string>, readonly string[], string]>([
    ['no image', {}, [], 'CACHE_IMAGE must be set to the image of the cache pods'],
    ['an empty image', { CACHE_IMAGE: '' }, [], 'CACHE_IMAGE must be set to the image of the cache pods'],
    [
      'an invalid pull policy',
      { ...GOOD, CACHE_IMAGE_PULL_POLICY: 'Sometimes' },
      [],
      'CACHE_IMAGE_PULL_POLICY must be one of Always, IfNotPresent, Never, not "Sometimes"',
    ],
    [
      'an invalid log level',
      { ...GOOD, LOG_LEVEL: 'loud' },
      [],
      'LOG_LEVEL must be one of debug, info, warn, error, not "loud"',
    ],
    [
      'too many namespaces',
      { ...GOOD, WATCH_NAMESPACES: Array.from({ length: 51 }, (_, index) => `n${index}`).join(',') },
      [],
      'WATCH_NAMESPACES must have at most 50 namespaces; leave it empty to watch all',
    ],
    [
      'invalid namespaces',
      { ...GOOD, WATCH_NAMESPACES: 'a,,B_' },
      [],
      'WATCH_NAMESPACES must be namespace names separated by commas; invalid: "", "B_"',
    ],
    [
      'an invalid port',
      { ...GOOD, PROBE_PORT: '70000' },
      [],
      'PROBE_PORT must be a port number up to 65535, not "70000"',
    ],
    [
      'a flag without a value',
      GOOD,
      ['--kubeconfig'],
      'the only supported argument is --kubeconfig FILE, not --kubeconfig',
    ],
    ['an unknown flag', GOOD, ['--help'], 'the only supported argument is --kubeconfig FILE, not --help'],
  ])('rejects %s with one line', ([, env, args, line]) => {
    expect(parseSettings(env, args)).toEqual({ ok: false, problems: [line] });
  });

  test('reports all problems at once', () => {
    expect(parseSettings({ LOG_LEVEL: 'x', PROBE_PORT: 'y' }, ['z'])).toMatchObject({ problems: { length: 4 } });
  });
});
