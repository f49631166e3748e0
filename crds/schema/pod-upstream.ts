/** `origin` and `cacheStore` of the pod's config file: as in the spec, with paths in place of references. */
import { membersOf, ORIGIN_KINDS, rulesOf, STORE_KINDS, typesOf } from '#crds/kinds/registry.ts';
import { capacityFields, lowBelowHigh } from './capacity.ts';
import { choice } from './field-builders.ts';
import type { Schema } from './json-schema.ts';
import * as upstream from './upstream.ts';

export const origin = {
  type: 'object',
  description: 'The remote object store that is the source of truth.',
  required: ['id', 'type', 'buckets'],
  properties: {
    id: upstream.originId,
    identity: upstream.originIdentity,
    type: choice('Kind of the origin.', ...typesOf(ORIGIN_KINDS)),
    ...membersOf(ORIGIN_KINDS, 'podFile'),
    buckets: upstream.buckets,
    targetGlobal: upstream.targetGlobal,
    queueTimeout: upstream.queueTimeout,
    retry: upstream.retry,
  },
  'x-kubernetes-validations': rulesOf(ORIGIN_KINDS),
} as const satisfies Schema;

export const cacheStore = {
  type: 'object',
  description: 'The store near the pods that holds the chunks. All replicas share it.',
  required: ['type'],
  properties: {
    type: choice('Kind of the store.', ...typesOf(STORE_KINDS)),
    ...membersOf(STORE_KINDS, 'podFile'),
    ...capacityFields,
    verifyRanges: upstream.verifyRanges,
  },
  'x-kubernetes-validations': [...rulesOf(STORE_KINDS), lowBelowHigh],
} as const satisfies Schema;
