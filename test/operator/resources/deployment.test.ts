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
import { AZURE, cacheFrom, contextOf, FILESYSTEM, FULL, HTTP, MINIMAL } from '#test/operator/caches.ts';

const full = cacheFrom(FULL);
const minimal = cacheFrom(MINIMAL);

describe('the order of the children', () => {
  const kinds = desiredChildren(full, contextOf(full)).map(({ manifest }) => manifest.kind);

  test('has the Deployment last, after everything that its pods use', () => {
    expect(kinds.at(-1)).toBe('Deployment');
    expect(kinds.filter((kind) => kind === 'Deployment')).toHaveLength(1);
  });

  test('has the Role before its RoleBinding', () => {
    expect(kinds.indexOf('Role')).toBeLessThan(kinds.indexOf('RoleBinding'));
  });
});

describe('the Deployment', () => {
  test('adds a surge pod before it removes a pod', () => {
    expect(deployment(minimal, contextOf(minimal)).spec.strategy.rollingUpdate).toEqual({
      maxSurge: 1,
      maxUnavailable: 0,
    });
  });

  test('rolls out when the configuration changes, but not for settings that reload at run time', () => {
    const template = (yaml: string): string => {
      const cache = cacheFrom(yaml);
      return JSON.stringify(podTemplate(cache, contextOf(cache)));
    };
    expect(template(MINIMAL.replace('models-eu,', 'models-us,'))).not.toBe(template(MINIMAL));
    expect(template(`${MINIMAL}  logLevel: debug\n`)).toBe(template(MINIMAL));
    expect(template(`${MINIMAL}  replicas: 7\n`)).toBe(template(MINIMAL));
  });

  test('has a grace period for draining and flushing', () => {
    expect(gracePeriodSeconds(minimal)).toBe(5 + 60 + 15);
    expect(gracePeriodSeconds(full)).toBe(Math.ceil(1.5 + 120) + 15);
  });

  test('keeps the operator’s labels and annotations over those of the user', () => {
    const { labels = {}, annotations = {} } = podTemplate(full, contextOf(full)).metadata ?? {};
    expect(labels['team']).toBe('ml');
    expect(labels['app.kubernetes.io/name']).toBe('orcacache');
    expect(annotations[ANNOTATION.configHash]).toBe(contextOf(full).config.hash);
  });

  test('runs without root, without privileges, on a read-only root file system', () => {
    const { spec } = podTemplate(minimal, contextOf(minimal));
    expect(spec?.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(spec?.containers[0]?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });

  test("lets the user's environment variables override the operator's, without duplicates", () => {
    const cache = cacheFrom(`${MINIMAL}  pod: {env: [{name: NODE_OPTIONS, value: --inspect}]}\n`);
    const names = container(cache, contextOf(cache), mounted(cache, contextOf(cache))).env ?? [];
    expect(names.filter(({ name }) => name === 'NODE_OPTIONS')).toEqual([{ name: 'NODE_OPTIONS', value: '--inspect' }]);
  });
});

describe('placement', () => {
  test('counts only pods of the same ReplicaSet, so that a surge pod fits on a full cluster', () => {
    const [term] = affinity(full)?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    expect(term?.matchLabelKeys).toEqual(['pod-template-hash']);
  });

  test('spreads by preference only, by default', () => {
    expect(affinity(minimal)?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution).toBeUndefined();
    expect(topologySpread(minimal).map(({ whenUnsatisfiable }) => whenUnsatisfiable)).toEqual([
      'ScheduleAnyway',
      'ScheduleAnyway',
    ]);
  });

  test("adds the pod selector of the cache to the user's constraints", () => {
    expect(topologySpread(full)).toMatchObject([
      { topologyKey: 'example.com/rack', labelSelector: { matchLabels: { 'app.kubernetes.io/instance': 'models' } } },
    ]);
  });

  test('sets no anti-affinity for None', () => {
    expect(affinity(cacheFrom(FILESYSTEM))).toBeUndefined();
  });
});

describe('the mounts', () => {
  test('include every path in the config file', () => {
    const { volumeMounts } = mounted(full, contextOf(full));
    const paths = volumeMounts.map(({ mountPath }) => mountPath);
    for (const path of contextOf(full).config.yaml.match(/\/etc\/orca\/(?:credentials|ca|runtime)\/[a-z]*/g) ?? [])
      expect(paths.some((mount) => path.startsWith(mount) || `${path}/`.startsWith(`${mount}/`))).toBe(true);
    expect(paths).toContain(MOUNT.config);
  });

  test('use subPath only for the immutable config file', () => {
    const { volumeMounts } = mounted(full, contextOf(full));
    expect(volumeMounts.filter(({ subPath }) => subPath !== undefined).map(({ name }) => name)).toEqual(['config']);
  });

  test('include the volume of a filesystem cachestore, writable', () => {
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
  test('are all Secrets and ConfigMaps in the spec, with the required keys', () => {
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

  test('for an Azure account require exactly one of two keys', () => {
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

  test('for an HTTP server require a token or a password, but not both', () => {
    expect(references(cacheFrom(HTTP))).toEqual([
      {
        field: 'spec.origin.http.credentialsSecretRef',
        kind: 'Secret',
        name: 'origin-token',
        keys: [],
        oneOf: ['token', 'password'],
        mount: { volume: 'origin-credentials', path: '/etc/orca/credentials/origin' },
      },
      expect.objectContaining({ kind: 'ConfigMap', name: 'origin-ca', keys: ['ca.crt'] }),
    ]);
  });

  test('are empty with the default credential chain', () => {
    expect(references(minimal)).toEqual([]);
  });
});

describe('the endpoint', () => {
  test.for([
    ['the default port omitted', MINIMAL, 'http://models.ml.svc'],
    ['another port', FULL, 'https://models.ml.svc:9000'],
  ] as const)('is a URL with %s', ([, yaml, url]) => {
    expect(edgeUrl(cacheFrom(yaml))).toBe(url);
  });
});
