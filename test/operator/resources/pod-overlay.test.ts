import { describe, expect, test } from 'vitest';
import type { PodTemplateSpec } from '#operator/api/kubernetes.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { overlayProblem, withOverlay } from '#operator/resources/pod-overlay.ts';
import { strategicMerge } from '#operator/resources/strategic-merge.ts';

const BASE: PodTemplateSpec = {
  metadata: { labels: { 'app.kubernetes.io/instance': 'models' }, annotations: { hash: 'x' } },
  spec: {
    containers: [
      {
        name: 'cache',
        image: 'orcacache/cache',
        env: [{ name: 'POD_IP', value: '' }],
        ports: [{ name: 'edge', containerPort: 8443, protocol: 'TCP' }],
        volumeMounts: [{ name: 'config', mountPath: '/etc/orca' }],
      },
    ],
    volumes: [{ name: 'config', configMap: { name: 'c' } }],
    tolerations: [{ key: 'a' }],
  },
};
const cacheWith = (template: unknown): OrcaCache => ({ spec: { pod: { template } } }) as unknown as OrcaCache;
const problemOf = (template: unknown): string | undefined => overlayProblem(BASE, cacheWith(template));
const merged = (template: unknown): PodTemplateSpec => {
  expect(problemOf(template)).toBeUndefined();
  return withOverlay(BASE, cacheWith(template));
};

describe('spec.pod.template', () => {
  test('adds what the resource has no field for', () => {
    const { metadata, spec } = merged({
      metadata: { labels: { team: 'ml' }, annotations: { 'cluster-autoscaler.kubernetes.io/safe-to-evict': 'true' } },
      spec: {
        runtimeClassName: 'gvisor',
        schedulerName: 'mine',
        dnsConfig: { options: [{ name: 'ndots', value: '1' }] },
        hostAliases: [{ ip: '10.0.0.1', hostnames: ['store'] }],
        initContainers: [{ name: 'wait', image: 'busybox' }],
        volumes: [{ name: 'extra', emptyDir: {} }],
        containers: [
          {
            name: 'cache',
            env: [{ name: 'DEBUG', value: '1' }],
            volumeMounts: [{ name: 'extra', mountPath: '/extra' }],
          },
          { name: 'sidecar', image: 'proxy', ports: [{ containerPort: 15_001 }] },
        ],
      },
    });
    expect(metadata?.labels).toEqual({ 'app.kubernetes.io/instance': 'models', team: 'ml' });
    expect(metadata?.annotations).toMatchObject({ hash: 'x' });
    expect(spec).toMatchObject({ runtimeClassName: 'gvisor', schedulerName: 'mine', tolerations: [{ key: 'a' }] });
    expect(spec?.volumes).toEqual([
      { name: 'config', configMap: { name: 'c' } },
      { name: 'extra', emptyDir: {} },
    ]);
    expect(spec?.containers.map(({ name }) => name)).toEqual(['cache', 'sidecar']);
    expect(spec?.containers[0]).toMatchObject({
      image: 'orcacache/cache',
      env: [{ name: 'POD_IP' }, { name: 'DEBUG', value: '1' }],
      volumeMounts: [{ mountPath: '/etc/orca' }, { mountPath: '/extra' }],
    });
  });

  test('without one, the template stays', () => {
    expect(withOverlay(BASE, cacheWith(undefined))).toBe(BASE);
    expect(problemOf(undefined)).toBeUndefined();
  });

  const inCache = (fields: object) => ({ spec: { containers: [{ name: 'cache', ...fields }] } });
  test.for<[unknown, string]>([
    [
      { metadata: { labels: { 'app.kubernetes.io/instance': 'other' } } },
      'spec.pod.template.metadata.labels["app.kubernetes.io/instance"] must not be changed: Services and the Deployment select by it',
    ],
    [{ spec: { restartPolicy: 'Never' } }, 'spec.pod.template.spec.restartPolicy must not be set'],
    [
      { spec: { hostNetwork: true } },
      'spec.pod.template.spec.hostNetwork must not be set: all replicas use the same ports',
    ],
    [{ spec: { terminationGracePeriodSeconds: 1 } }, 'it follows from spec.shutdown'],
    [{ spec: { automountServiceAccountToken: false } }, 'the pods watch EndpointSlices'],
    [{ spec: { volumes: [{ name: 'config' }] } }, 'spec.pod.template.spec.volumes must not contain config'],
    [inCache({ image: 'other' }), 'spec.pod.template.spec.containers[cache].image must not be set: use spec.pod.image'],
    [
      inCache({ livenessProbe: { httpGet: {} } }),
      'containers[cache].livenessProbe must not be set: the operator sets it',
    ],
    [inCache({ args: [] }), 'containers[cache].args must not be set'],
    [inCache({ env: [{ name: 'POD_IP', value: '1' }] }), 'containers[cache].env must not contain POD_IP'],
    [inCache({ volumeMounts: [{ mountPath: '/etc/orca' }] }), 'volumeMounts must not contain /etc/orca'],
    [
      inCache({ ports: [{ containerPort: 8443 }] }),
      'containers[cache].ports must not contain 8443: the cache uses 8442 to 8459',
    ],
    [
      { spec: { containers: [{ name: 'sidecar', ports: [{ containerPort: 8459 }] }] } },
      'containers[sidecar].ports must not contain 8459',
    ],
    [{ spec: { containers: [{ image: 'x' }] } }, 'spec.pod.template.spec.containers[0].name is required'],
    [{ spec: { containers: {} } }, 'spec.pod.template.spec.containers must be a list'],
    [{ spec: { securityContext: null } }, 'spec.pod.template.spec.securityContext must not be null'],
    [
      { spec: { tolerations: [{ $patch: 'replace' }] } },
      'spec.pod.template.spec.tolerations[0].$patch is not supported',
    ],
  ])('%j is refused', ([template, message]) => {
    expect(problemOf(template)).toContain(message);
  });
});

test('a strategic merge changes neither of its inputs', () => {
  const base = { list: [1], containers: [{ name: 'a', x: 1 }], map: { a: 1, b: 2 } };
  const patch = { list: [2], containers: [{ name: 'a', y: 2 }, { name: 'b' }], map: { b: 3 } };
  const copies = structuredClone([base, patch]);
  expect(strategicMerge(base, patch)).toEqual({
    list: [2],
    containers: [{ name: 'a', x: 1, y: 2 }, { name: 'b' }],
    map: { a: 1, b: 3 },
  });
  expect([base, patch]).toEqual(copies);
});
