/** S3 servers, as origin and as cachestore. */
import { flag, objectReference, text, withDefault } from '#crds/schema/field-builders.ts';
import type { Rule } from '#crds/schema/json-schema.ts';
import { directory } from '#crds/schema/pod-path.ts';
import { BUCKET_MESSAGE, BUCKET_PATTERN } from '#crds/schema/upstream.ts';
import { anonymousField, anonymousWithoutCredentials, caBundleRef, caFile, endpointField } from './fields.ts';
import { CA_BUNDLE, type UpstreamKind } from './kind.ts';

const shared = {
  endpoint: endpointField('URL of the S3 server, without a path. If omitted, AWS’s endpoint for the region.'),
  region: withDefault(
    text('Region for which requests are signed.', { maxLength: 63, minLength: 1 }),
    'us-east-1',
    'which S3-compatible servers without regions accept',
  ),
  forcePathStyle: withDefault(
    flag(
      'Puts the bucket name in the path instead of the host name. Most S3-compatible servers other than AWS need it.',
    ),
    false,
    'because AWS expects virtual-hosted addressing',
  ),
} as const;

const bucket = text('Bucket that holds the chunks. It must exist, and nothing else may use it.', {
  maxLength: 255,
  pattern: BUCKET_PATTERN,
  message: BUCKET_MESSAGE,
});

const specReferences = {
  credentialsSecretRef: objectReference(
    'Secret in the same namespace with the keys `access-key-id` and `secret-access-key`, and optionally `session-token`. ' +
      'If omitted, the environment variables, then the SDK’s default chain (workload identity).',
    'Secret',
  ),
  caBundleRef,
} as const;

const podPaths = {
  credentials: directory(
    'Directory with the files `access-key-id` and `secret-access-key`, and optionally `session-token`; read again when ' +
      'they change. If omitted, `ORCA_ORIGIN_ACCESS_KEY_ID` and `ORCA_ORIGIN_SECRET_ACCESS_KEY` (`ORCA_CACHESTORE_…` for ' +
      'the cachestore), then the SDK’s default chain.',
  ),
  caFile,
} as const;

const references = [
  { kind: 'Secret', field: 'credentialsSecretRef', keys: ['access-key-id', 'secret-access-key'] },
  CA_BUNDLE,
] as const;

const ofOrigin = {
  anonymous: anonymousField(
    'Sends requests without credentials, for public buckets such as open data. Credentials must not be configured.',
  ),
  requesterPays: withDefault(
    flag(
      'Accepts that the account of the credentials pays for requests and transfer, which Requester Pays buckets ask.',
    ),
    false,
    'because requests to such buckets cost money',
  ),
} as const;

interface PayerFields {
  readonly anonymous?: boolean;
  readonly requesterPays?: boolean;
}

const payerHasCredentials = {
  rule: '!(has(self.anonymous) && self.anonymous && has(self.requesterPays) && self.requesterPays)',
  message: 'must be false if anonymous is true: without credentials there is no account that could pay',
  fieldPath: '.requesterPays',
  reads: ['anonymous', 'requesterPays'],
  holds: ({ anonymous, requesterPays }: PayerFields) => anonymous !== true || requesterPays !== true,
} as const satisfies Rule;

const ORIGIN = { type: 'object', description: 'An S3 server.' } as const;

export const s3Origin = {
  type: 'S3',
  member: 's3',
  spec: {
    ...ORIGIN,
    properties: { ...shared, ...ofOrigin, ...specReferences },
    'x-kubernetes-validations': [anonymousWithoutCredentials('credentialsSecretRef'), payerHasCredentials],
  },
  podFile: {
    ...ORIGIN,
    properties: { ...shared, ...ofOrigin, ...podPaths },
    'x-kubernetes-validations': [anonymousWithoutCredentials('credentials'), payerHasCredentials],
  },
  references,
} as const satisfies UpstreamKind;

const STORE = { type: 'object', description: 'A bucket of an S3 server.', required: ['bucket'] } as const;

export const s3Store = {
  type: 'S3',
  member: 's3',
  spec: { ...STORE, properties: { ...shared, bucket, ...specReferences } },
  podFile: { ...STORE, properties: { ...shared, bucket, ...podPaths } },
  references,
} as const satisfies UpstreamKind;
