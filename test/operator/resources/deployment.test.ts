import { describe, expect, test } from 'vitest';
import { ANNOTATION, MOUNT } from '#crds/names.ts';
import { container } from '#operator/resources/container.ts';
import { deployment } from '#operator/resources/deployment.ts';
import { edgeUrl } from '#operator/resources/edge-service.ts';
import { desiredChildren } from '#operator/resources/list.ts';
import { affinity, topologySpread } from '#operator/resources/placement.ts';
import { gracePeriodSeconds, podTemplate } from '#operator/resources/pod-template.ts';
import { references } from '#operator/resources/reference.ts';
import { mounted } from '#operator/resources/volumes.ts';
import { AZURE, cacheFrom, contextOf, FILESYSTEM, FULL, MINIMAL } from '#test/operator/caches.ts';

const full = cacheFrom(FULL);
const minimal = cacheFrom(MINIMAL);

describe('the order of the children', () => {
  const kinds = desiredChildren(full, contextOf(full)).map(({ manifest }) => manifest.kind);

  test('puts the Deployment last, behind all that its pods use', () => {
    expect(kinds.at(-1)).toBe('Deployment');
    expect(kinds.filter((kind) => kind === 'Deployment')).toHaveLength(1);
  });

  test('puts the Role before its binding', () => {
    expect(kinds.indexOf('Role')).toBeLessThan(kinds.indexOf('RoleBinding'));
  });
});

describe('the Deployment', () => {
  test('surges before it takes a pod away', () => {
    expect(deployment(minimal, contextOf(minimal)).spec.strategy.rollingUpdate).toEqual({
      maxSurge: 1,
      maxUnavailable: 0,
    });
  });

  test('rolls when the configuration changes, and not when a reloaded key does', () => {
    const template = (yaml: string): string => {
      const cache = cacheFrom(yaml);
      return JSON.stringify(podTemplate(cache, contextOf(cache)));
    };
    expect(template(MINIMAL.replace('models-eu,', 'models-us,'))).not.toBe(template(MINIMAL));
    expect(template(`${MINIMAL}  logLevel: debug\n`)).toBe(template(MINIMAL));
    expect(template(`${MINIMAL}  replicas: 7\n`)).toBe(template(MINIMAL));
  });

  test('gives pods the time to drain and to flush before it kills them', () => {
    expect(gracePeriodSeconds(minimal)).toBe(5 + 60 + 15);
    expect(gracePeriodSeconds(full)).toBe(Math.ceil(1.5 + 120) + 15);
  });

  test('keeps its own labels and annotations whatever the user adds', () => {
    const { labels = {}, annotations = {} } = podTemplate(full, contextOf(full)).metadata ?? {};
    expect(labels['team']).toBe('ml');
    expect(labels['app.kubernetes.io/name']).toBe('orcacache');
    expect(annotations[ANNOTATION.configHash]).toBe(contextOf(full).config.hash);
  });

  test('runs without root, without privileges, on a read-only root', () => {
    const { spec } = podTemplate(minimal, contextOf(minimal));
    expect(spec?.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(spec?.containers[0]?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });

  test("lets the user's environment win over ours, without naming a variable twice", () => {
    const cache = cacheFrom(`${MINIMAL}  pod: {env: [{name: NODE_OPTIONS, value: --inspect}]}\n`);
    const names = container(cache, contextOf(cache), mounted(cache, contextOf(cache))).env ?? [];
    expect(names.filter(({ name }) => name === 'NODE_OPTIONS')).toEqual([{ name: 'NODE_OPTIONS', value: '--inspect' }]);
  });
});

describe('placement', () => {
  test('counts only pods of the same rollout, so that a surge pod fits on a full cluster', () => {
    const [term] = affinity(full)?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    expect(term?.matchLabelKeys).toEqual(['pod-template-hash']);
  });

  test('prefers spreading unless told otherwise, and never forbids a pod by itself', () => {
    expect(affinity(minimal)?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution).toBeUndefined();
    expect(topologySpread(minimal).map(({ whenUnsatisfiable }) => whenUnsatisfiable)).toEqual([
      'ScheduleAnyway',
      'ScheduleAnyway',
    ]);
  });

  test("gives the user's constraints the selector of the cache's own pods", () => {
    expect(topologySpread(full)).toMatchObject([
      { topologyKey: 'example.com/rack', labelSelector: { matchLabels: { 'app.kubernetes.io/instance': 'models' } } },
    ]);
  });

  test('does nothing for antiAffinity None', () => {
    expect(affinity(cacheFrom(FILESYSTEM))).toBeUndefined();
  });
});

describe('what is mounted', () => {
  test('is what the config file speaks of', () => {
    const { volumeMounts } = mounted(full, contextOf(full));
    const paths = volumeMounts.map(({ mountPath }) => mountPath);
    for (const path of contextOf(full).config.yaml.match(/\/etc\/orca\/(?:credentials|ca|runtime)\/[a-z]*/g) ?? [])
      expect(paths.some((mount) => path.startsWith(mount) || `${path}/`.startsWith(`${mount}/`))).toBe(true);
    expect(paths).toContain(MOUNT.config);
  });

  test('has no subPath but for the file that never changes', () => {
    const { volumeMounts } = mounted(full, contextOf(full));
    expect(volumeMounts.filter(({ subPath }) => subPath !== undefined).map(({ name }) => name)).toEqual(['config']);
  });

  test('has the shared volume where the cachestore is one, and may write to it', () => {
    const cache = cacheFrom(FILESYSTEM);
    const { volumes, volumeMounts } = mounted(cache, contextOf(cache));
    expect(volumes).toContainEqual({ name: 'cachestore', persistentVolumeClaim: { claimName: 'chunks' } });
    expect(volumeMounts.find(({ name }) => name === 'cachestore')).toEqual({
      name: 'cachestore',
      mountPath: MOUNT.filesystemStore,
    });
  });
});

describe('references', () => {
  test('are every Secret and ConfigMap that the spec names, with the keys it needs', () => {
    expect(references(full).map(({ kind, name, keys }) => `${kind} ${name}: ${keys.join(' ')}`)).toEqual([
      'Secret origin-keys: access-key-id secret-access-key',
      'ConfigMap origin-ca: ca.crt',
      'Secret store-keys: access-key-id secret-access-key',
      'ConfigMap store-ca: ca.crt',
      'Secret models-keys: keys.yaml',
      'Secret models-tls: tls.crt tls.key',
      'ConfigMap aws: profile',
    ]);
  });

  test('of an Azure account are a Secret with one key of two', () => {
    expect(references(cacheFrom(AZURE))).toEqual([
      {
        field: 'spec.origin.azureBlob.credentialsSecretRef',
        kind: 'Secret',
        name: 'origin-key',
        keys: [],
        oneOf: ['account-key', 'sas-token'],
        mount: { volume: 'origin-credentials', path: '/etc/orca/credentials/origin' },
      },
      expect.objectContaining({ kind: 'ConfigMap', name: 'origin-ca', keys: ['ca.crt'] }),
    ]);
  });

  test('are none where the default chain of credentials is used', () => {
    expect(references(minimal)).toEqual([]);
  });
});

describe('the endpoint', () => {
  test.for([
    ['the default port, which is not said', MINIMAL, 'http://models.ml.svc'],
    ['another port', FULL, 'https://models.ml.svc:9000'],
  ] as const)('is a URL with %s', ([, yaml, url]) => {
    expect(edgeUrl(cacheFrom(yaml))).toBe(url);
  });
});
