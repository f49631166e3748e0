/** `origin` and `cacheStore` of the pod's config file: the shared fields of both, with paths in place of references. */
import { choice, text, unionMember, withDefault } from './field-builders.ts';
import type { Schema } from './json-schema.ts';
import { directory, MAX_PATH_LENGTH, path } from './pod-path.ts';
import * as upstream from './upstream.ts';

const credentials = directory(
  'Directory with the files `access-key-id` and `secret-access-key`, and optionally `session-token`; read again when ' +
    'they change. If omitted, `ORCA_ORIGIN_ACCESS_KEY_ID` and `ORCA_ORIGIN_SECRET_ACCESS_KEY` (`ORCA_CACHESTORE_…` for ' +
    'the cachestore), then the SDK’s default chain.',
);
const azureCredentials = directory(
  'Directory with the file `account-key` or `sas-token`; read again when it changes. If omitted, ' +
    '`ORCA_ORIGIN_ACCOUNT_KEY` (`ORCA_CACHESTORE_ACCOUNT_KEY` for the cachestore), then workload identity.',
);
const caFile = withDefault(
  text('File with certificates to trust in addition to the system’s.', { maxLength: MAX_PATH_LENGTH }),
  '',
  'which trusts only the system’s',
  'empty',
);

export const origin = {
  type: 'object',
  description: 'The remote object store that is the source of truth.',
  required: ['id', 'type', 'buckets'],
  properties: {
    id: upstream.originId,
    identity: upstream.originIdentity,
    type: choice('Kind of the origin.', 'S3', 'AzureBlob'),
    s3: { type: 'object', description: 'An S3 server.', properties: { ...upstream.s3Fields, credentials, caFile } },
    azureBlob: {
      type: 'object',
      description: 'An Azure storage account; its containers are the buckets.',
      required: ['account'],
      properties: { ...upstream.azureFields, credentials: azureCredentials, caFile },
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
      properties: { ...upstream.s3Fields, bucket: upstream.storeBucket, credentials, caFile },
    },
    azureBlob: {
      type: 'object',
      description: 'A container of an Azure storage account.',
      required: ['account', 'container'],
      properties: {
        ...upstream.azureFields,
        container: upstream.storeContainer,
        credentials: azureCredentials,
        caFile,
      },
    },
    filesystem: {
      type: 'object',
      description: 'A file system that all replicas share.',
      required: ['path'],
      properties: { path: path('Directory for the chunks.') },
    },
    verifyRanges: upstream.verifyRanges,
  },
  'x-kubernetes-validations': [
    unionMember('S3', 's3'),
    unionMember('AzureBlob', 'azureBlob'),
    unionMember('Filesystem', 'filesystem'),
  ],
} as const satisfies Schema;
