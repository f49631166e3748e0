import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { parseConfig } from '#cache/config/load.ts';
import { configuredSettings, readRuntime } from '#cache/config/runtime.ts';
import { parseDuration } from '#crds/duration.ts';
import { configHash, podConfig, podConfigFile, runtimeConfig } from '#crds/pod-config.ts';
import { parseQuantity } from '#crds/quantity.ts';
import type { OrcaCacheSpec } from '#crds/types.ts';
import { arbitraryCache } from './arbitrary-cache.ts';
import { goodCases } from './cases.ts';
import { accepted, sampleWith } from './sample.ts';

const GIB = 1024 ** 3;
const capacityOf = (cacheStore: OrcaCacheSpec['cacheStore']) => ({
  capacityBytes: cacheStore.capacity === undefined ? undefined : parseQuantity(cacheStore.capacity),
  highWatermark: cacheStore.highWatermark,
  lowWatermark: cacheStore.lowWatermark,
  maxIdleMs: cacheStore.maxIdle === undefined ? undefined : parseDuration(cacheStore.maxIdle),
  minAgeMs: parseDuration(cacheStore.minAge),
  maxPinned: cacheStore.maxPinned,
  sweepIntervalMs: parseDuration(cacheStore.sweepInterval),
});
const facts = { env: { POD_IP: '10.1.2.3' }, memory: { constrainedBytes: 2 * GIB, totalBytes: 64 * GIB } };

describe("a pod's config file", () => {
  test('is accepted by the pod for any valid cache', () => {
    fc.assert(
      fc.property(arbitraryCache, (cache) => {
        const { yaml, hash } = podConfigFile(cache);
        const config = parseConfig(yaml, facts);
        expect(config.hash).toBe(hash);
        expect(config.origin.buckets.map((bucket) => bucket.name)).toEqual(
          cache.spec.origin.buckets.map((bucket) => bucket.name),
        );
        expect(config.peers).toMatchObject({ service: `${cache.metadata.name}-peers`, self: '10.1.2.3' });
        const read = readRuntime(stringify(runtimeConfig(cache)), config, configuredSettings(config), {});
        expect(read).toEqual({
          problems: [],
          settings: {
            logLevel: cache.spec.logLevel,
            targetGlobal: cache.spec.origin.targetGlobal,
            readahead: cache.spec.chunking.readahead,
            capacity: capacityOf(cache.spec.cacheStore),
            provenConfigs: [],
          },
        });
      }),
      { numRuns: 100 },
    );
  });

  test('fits into a ConfigMap with as many buckets as are allowed, with fields of the maximum length', () => {
    const most = goodCases.find(({ name }) => name.startsWith('as many buckets'));
    const { yaml } = podConfigFile(accepted(sampleWith(most!.changes)));
    expect(Buffer.byteLength(yaml)).toBeLessThan(1024 * 1024);
  });

  test('does not change with fields that pods reload', () => {
    const before = podConfigFile(accepted(sampleWith({})));
    const after = podConfigFile(
      accepted(
        sampleWith({
          'spec.logLevel': 'debug',
          'spec.origin.targetGlobal': 7,
          'spec.chunking.readahead': 0,
          'spec.cacheStore.capacity': '20Ti',
          'spec.cacheStore.highWatermark': 95,
          'spec.cacheStore.lowWatermark': 70,
          'spec.cacheStore.maxIdle': '720h',
          'spec.cacheStore.minAge': '1h',
          'spec.cacheStore.maxPinned': 10,
          'spec.cacheStore.sweepInterval': '2h',
        }),
      ),
    );
    expect(after).toEqual(before);
  });

  test('does not change with fields that only the operator uses', () => {
    const before = podConfigFile(accepted(sampleWith({})));
    const after = podConfigFile(
      accepted(
        sampleWith({ 'spec.replicas': 5, 'spec.edge.service.type': 'LoadBalancer', 'spec.pod.labels': { a: 'b' } }),
      ),
    );
    expect(after).toEqual(before);
  });

  test('gets another hash when any other field changes', () => {
    const before = podConfigFile(accepted(sampleWith({})));
    const after = podConfigFile(accepted(sampleWith({ 'spec.metadata.ttl': '6m' })));
    expect(after.hash).not.toBe(before.hash);
  });

  test('does not depend on the order of keys', () => {
    const cache = accepted(sampleWith({}));
    const reversed = Object.fromEntries(Object.entries(cache.spec.origin).toReversed()) as typeof cache.spec.origin;
    expect(podConfigFile({ ...cache, spec: { ...cache.spec, origin: reversed } })).toEqual(podConfigFile(cache));
  });

  test('contains mount paths in place of Secrets and ConfigMaps', () => {
    const cache = accepted(
      sampleWith({
        'spec.origin.s3.caBundleRef': { name: 'origin-ca' },
        'spec.cacheStore.s3.credentialsSecretRef': { name: 'store-keys' },
        'spec.cacheStore.s3.caBundleRef': { name: 'store-ca' },
      }),
    );
    expect(podConfig(cache)).toMatchObject({
      origin: {
        s3: { credentials: { directory: '/etc/orca/credentials/origin' }, caFile: '/etc/orca/ca/origin/ca.crt' },
      },
      cacheStore: {
        s3: {
          credentials: { directory: '/etc/orca/credentials/cachestore' },
          caFile: '/etc/orca/ca/cachestore/ca.crt',
        },
      },
      peers: { auth: { directory: '/etc/orca/credentials/peers' } },
      runtimeFile: '/etc/orca/runtime/runtime.yaml',
    });
  });

  test('contains mount paths for a cache on Azure too', () => {
    const references = { credentialsSecretRef: { name: 'azure-key' }, caBundleRef: { name: 'azure-ca' } };
    const cache = accepted(
      sampleWith({
        'spec.origin.type': 'AzureBlob',
        'spec.origin.s3': undefined,
        'spec.origin.azureBlob': { account: 'acme', ...references },
        'spec.cacheStore': { type: 'AzureBlob', azureBlob: { account: 'near', container: 'chunks', ...references } },
      }),
    );
    const at = (side: string) => ({
      credentials: { directory: `/etc/orca/credentials/${side}` },
      caFile: `/etc/orca/ca/${side}/ca.crt`,
    });
    expect(podConfig(cache)).toMatchObject({
      origin: { type: 'AzureBlob', azureBlob: { account: 'acme', ...at('origin') } },
      cacheStore: { type: 'AzureBlob', azureBlob: { account: 'near', container: 'chunks', ...at('cachestore') } },
    });
    expect(JSON.stringify(podConfig(cache))).not.toContain('Ref');
  });

  test('contains the mount path of a shared volume', () => {
    const cache = accepted(
      sampleWith({
        'spec.cacheStore': { type: 'Filesystem', filesystem: { persistentVolumeClaim: { claimName: 'chunks' } } },
      }),
    );
    expect(podConfig(cache)).toMatchObject({
      cacheStore: { type: 'Filesystem', filesystem: { path: '/var/lib/orca' } },
    });
  });

  test('matches the golden file for the sample', async () => {
    const { yaml } = podConfigFile(accepted(sampleWith({})));
    await expect(yaml).toMatchFileSnapshot('../golden/crds/pod-config.yaml');
    expect(parse(yaml)).toEqual(podConfig(accepted(sampleWith({}))));
  });

  test('has a hash of its bytes, eight hex digits long', () => {
    expect(configHash('')).toBe('e3b0c442');
    expect(configHash(new TextEncoder().encode('abc'))).toBe('ba7816bf');
  });
});
