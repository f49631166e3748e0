import { describe, expect, test } from 'vitest';
import type { Live } from '#operator/api/manifest.ts';
import { claimOn, digest, ownershipPatch, withDigest } from '#operator/reconcile/ownership.ts';
import { serviceAccount } from '#operator/resources/service-account.ts';
import { cacheFrom, CACHE_UID, MINIMAL } from '#test/operator/caches.ts';

const cache = cacheFrom(MINIMAL);

function live(metadata: Partial<Live['metadata']> = {}): Live {
  return { metadata: { name: 'models', namespace: 'ml', uid: 'u', resourceVersion: '5', ...metadata } };
}

function ownedBy(uid: string, name = 'models', kind = 'OrcaCache', controller = true): Live {
  return live({ ownerReferences: [{ apiVersion: 'orcacache.dev/v1alpha1', kind, name, uid, controller }] });
}

describe('the claim on an object', () => {
  test.for([
    ['ours by controller reference', ownedBy(CACHE_UID), 'ours'],
    ['foreign without an owner', live(), 'foreign'],
    ['foreign with an owner of another kind', ownedBy('x', 'models', 'Model'), 'foreign'],
    ['foreign with a non-controller owner reference', ownedBy(CACHE_UID, 'models', 'OrcaCache', false), 'foreign'],
    ["a predecessor's with a deleted cache of the same name as owner", ownedBy('old'), 'predecessor'],
    ['foreign with another cache as owner', ownedBy('x', 'other'), 'foreign'],
  ] as const)('is %s', ([, object, claim]) => {
    expect(claimOn(object, cache)).toBe(claim);
  });
});

describe('the digest of a manifest', () => {
  test('is sent as an annotation and does not include itself', () => {
    const manifest = serviceAccount(cache);
    expect(Object.values(withDigest(manifest).metadata.annotations ?? {})).toEqual([digest(manifest)]);
  });
});

describe('the ownership patch', () => {
  const ours = { manager: 'orca-operator', operation: 'Update', fieldsV1: { 'f:spec': { 'f:a': {} } } };
  const theirs = { manager: 'kubectl', operation: 'Update', fieldsV1: { 'f:spec': { 'f:b': {} } } };
  const status = { manager: 'orca-operator', operation: 'Update', subresource: 'status', fieldsV1: { 'f:status': {} } };

  test('converts our Update to Apply, keeps other entries, and is bound to the version that was read', () => {
    expect(ownershipPatch(live({ managedFields: [theirs, ours, status] }))).toEqual([
      { op: 'replace', path: '/metadata/managedFields', value: [theirs, status, { ...ours, operation: 'Apply' }] },
      { op: 'replace', path: '/metadata/resourceVersion', value: '5' },
    ]);
  });

  test('merges an Update into an existing Apply', () => {
    const applied = { ...ours, operation: 'Apply', fieldsV1: { 'f:spec': { 'f:c': {} }, 'f:metadata': {} } };
    const [first] = ownershipPatch(live({ managedFields: [applied, ours] })) ?? [];
    expect(first).toMatchObject({
      value: [{ operation: 'Apply', fieldsV1: { 'f:spec': { 'f:a': {}, 'f:c': {} }, 'f:metadata': {} } }],
    });
  });

  test('is undefined when all our fields are owned by Apply', () => {
    expect(ownershipPatch(live({ managedFields: [{ ...ours, operation: 'Apply' }, theirs, status] }))).toBeUndefined();
  });
});
