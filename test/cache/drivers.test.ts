/** The registries of drivers match the kinds of the schema, and each kind identifies its origin by host and account. */
import { describe, expect, test } from 'vitest';
import { ORIGIN_KINDS, STORE_KINDS } from '#crds/kinds/registry.ts';
import { parseConfig } from '#cache/config/load.ts';
import { openOrigin, openStore, originFingerprint } from '#cache/drivers.ts';
import { originKindOf } from '#cache/origins/registry.ts';
import { storeKindOf } from '#cache/stores/registry.ts';
import { facts, minimalFileWith } from '#test/cache/config/minimal-file.ts';

/** A member for every kind: a new kind needs an entry in each table. */
const ORIGINS: Readonly<Record<(typeof ORIGIN_KINDS)[number]['type'], { member: object; fingerprint: string }>> = {
  S3: { member: { endpoint: 'https://s3.example.org:8443/' }, fingerprint: 'S3 s3.example.org:8443' },
  AzureBlob: { member: { account: 'acme' }, fingerprint: 'AzureBlob acme.blob.core.windows.net acme' },
  HTTP: {
    member: { urls: [{ bucket: 'models', baseUrl: 'https://files.example.org/models' }] },
    fingerprint: 'HTTP files.example.org',
  },
};
const STORES: Readonly<Record<(typeof STORE_KINDS)[number]['type'], object>> = {
  S3: { bucket: 'chunks' },
  AzureBlob: { account: 'acme', container: 'chunks' },
  Filesystem: { path: '/var/lib/orca' },
};

const originConfig = (type: keyof typeof ORIGINS, more: Readonly<Record<string, unknown>> = {}) =>
  parseConfig(
    minimalFileWith({
      'origin.s3': undefined,
      'origin.type': type,
      [`origin.${originKindOf(type).schema.member}`]: ORIGINS[type].member,
      ...more,
    }),
    facts,
  );

describe('an origin', () => {
  test.for(ORIGIN_KINDS.map(({ type }) => type))('of type %s is opened by the driver of its kind', async (type) => {
    const config = originConfig(type);
    expect(ORIGIN_KINDS).toContain(originKindOf(type).schema);
    expect(originFingerprint(config)).toBe(ORIGINS[type].fingerprint);
    await openOrigin(config, {}).close();
  });

  test('has the identity that is configured in place of a fingerprint', () => {
    expect(originFingerprint(originConfig('S3', { 'origin.identity': 'before the move' }))).toBe('before the move');
  });

  test('on AWS is identified by the endpoint of the region', () => {
    expect(originFingerprint(originConfig('S3', { 'origin.s3': { region: 'eu-west-1' } }))).toBe(
      'S3 s3.eu-west-1.amazonaws.com',
    );
  });
});

test.for(STORE_KINDS.map(({ type }) => type))(
  'a cachestore of type %s is opened by the driver of its kind',
  async (type) => {
    const { schema } = storeKindOf(type);
    expect(STORE_KINDS).toContain(schema);
    const config = parseConfig(minimalFileWith({ cacheStore: { type, [schema.member]: STORES[type] } }), facts);
    await openStore(config, {}).close();
  },
);
