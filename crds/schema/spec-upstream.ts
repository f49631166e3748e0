/** `spec.origin` and `spec.cacheStore`: the shared fields of both, with references to Secrets, ConfigMaps and claims. */
import { choice, objectName, objectReference, unionMember } from './field-builders.ts';
import type { Schema } from './json-schema.ts';
import * as upstream from './upstream.ts';

const credentialsSecretRef = objectReference(
  'Secret in the same namespace with the keys `access-key-id` and `secret-access-key`, and optionally `session-token`. ' +
    'If omitted, the environment variables, then the SDK’s default chain (workload identity).',
  'Secret',
);
const caBundleRef = objectReference(
  'ConfigMap in the same namespace. Its key `ca.crt` holds certificates to trust in addition to the system’s.',
  'ConfigMap',
);

const azureFields = {
  ...upstream.azureFields,
  credentialsSecretRef: objectReference(
    'Secret in the same namespace with either the key `account-key` or the key `sas-token`. If omitted, the environment ' +
      'variables, then workload identity.',
    'Secret',
  ),
  caBundleRef,
} as const;

export const origin = {
  type: 'object',
  description: 'The remote object store that is the source of truth.',
  required: ['id', 'type', 'buckets'],
  properties: {
    id: {
      ...upstream.originId,
      'x-kubernetes-validations': [
        ...(upstream.originId['x-kubernetes-validations'] ?? []),
        {
          rule: 'self == oldSelf',
          message: 'is immutable, because the path of every chunk contains it; create another OrcaCache instead',
        },
      ],
    },
    identity: upstream.originIdentity,
    type: choice('Kind of the origin.', 'S3', 'AzureBlob'),
    s3: {
      type: 'object',
      description: 'An S3 server.',
      properties: { ...upstream.s3Fields, credentialsSecretRef, caBundleRef },
    },
    azureBlob: {
      type: 'object',
      description: 'An Azure storage account; its containers are the buckets.',
      required: ['account'],
      properties: azureFields,
    },
    buckets: upstream.buckets,
    targetGlobal: upstream.targetGlobal,
    queueTimeout: upstream.queueTimeout,
    retry: upstream.retry,
  },
  'x-kubernetes-validations': [unionMember('S3', 's3'), unionMember('AzureBlob', 'azureBlob')],
} as const satisfies Schema;

export const cacheStore = {
  type: 'object',
  description: 'The store near the pods that holds the chunks. All replicas share it.',
  required: ['type'],
  properties: {
    type: choice('Kind of the store.', 'S3', 'AzureBlob', 'Filesystem'),
    s3: {
      type: 'object',
      description: 'A bucket of an S3 server.',
      required: ['bucket'],
      properties: { ...upstream.s3Fields, bucket: upstream.storeBucket, credentialsSecretRef, caBundleRef },
    },
    azureBlob: {
      type: 'object',
      description: 'A container of an Azure storage account.',
      required: ['account', 'container'],
      properties: { ...azureFields, container: upstream.storeContainer },
    },
    filesystem: {
      type: 'object',
      description: 'A volume that all replicas mount.',
      required: ['persistentVolumeClaim'],
      properties: {
        persistentVolumeClaim: {
          type: 'object',
          description: 'A PersistentVolumeClaim in the same namespace with access mode ReadWriteMany.',
          required: ['claimName'],
          properties: {
            claimName: objectName('Name of the PersistentVolumeClaim.'),
          },
        },
      },
    },
    verifyRanges: upstream.verifyRanges,
  },
  'x-kubernetes-validations': [
    unionMember('S3', 's3'),
    unionMember('AzureBlob', 'azureBlob'),
    unionMember('Filesystem', 'filesystem'),
  ],
} as const satisfies Schema;
