/** Azure storage accounts, as origin and as cachestore. */
import { objectReference, text } from '#crds/schema/field-builders.ts';
import { directory } from '#crds/schema/pod-path.ts';
import { anonymousField, anonymousWithoutCredentials, caBundleRef, caFile } from './fields.ts';
import { CA_BUNDLE, type UpstreamKind } from './kind.ts';

/** Host and port, with the account as an optional path for services whose host name does not contain it. */
const ENDPOINT_PATTERN =
  '^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9]{3,24})?/?$|^https?://[[][0-9A-Fa-f:.]+](:[0-9]{1,5})?(/[a-z0-9]{3,24})?/?$';

const shared = {
  account: text('Name of the storage account.', {
    maxLength: 24,
    pattern: '^[a-z0-9]{3,24}$',
    message: 'must be the name of a storage account: 3 to 24 characters of a-z and 0-9',
  }),
  endpoint: text(
    'URL of the blob service. Add the account as its path if the host name does not contain it. If omitted, ' +
      '`https://<account>.blob.core.windows.net`.',
    {
      maxLength: 253,
      pattern: ENDPOINT_PATTERN,
      message: 'must be http://host[:port][/account] or https://host[:port][/account], without user or query',
    },
  ),
} as const;

const container = text('Container that holds the chunks. It must exist, and nothing else may use it.', {
  minLength: 3,
  maxLength: 63,
  pattern: '^[a-z0-9](-?[a-z0-9])*$',
  message: "must be a container name: 3 to 63 characters of a-z, 0-9 and single '-'",
});

const specReferences = {
  credentialsSecretRef: objectReference(
    'Secret in the same namespace with either the key `account-key` or the key `sas-token`. If omitted, the environment ' +
      'variables, then the default chain of Azure’s SDK (workload identity, managed identity).',
    'Secret',
  ),
  caBundleRef,
} as const;

const podPaths = {
  credentials: directory(
    'Directory with the file `account-key` or `sas-token`; read again when it changes. If omitted, ' +
      '`ORCA_ORIGIN_ACCOUNT_KEY` (`ORCA_CACHESTORE_ACCOUNT_KEY` for the cachestore), then the default chain.',
  ),
  caFile,
} as const;

const references = [
  { kind: 'Secret', field: 'credentialsSecretRef', keys: [], oneOf: ['account-key', 'sas-token'] },
  CA_BUNDLE,
] as const;

const anonymous = anonymousField(
  'Sends requests without credentials, for containers with public access at container level. Credentials must not be ' +
    'configured.',
);

const ORIGIN = {
  type: 'object',
  description: 'An Azure storage account; its containers are the buckets.',
  required: ['account'],
} as const;

export const azureBlobOrigin = {
  type: 'AzureBlob',
  member: 'azureBlob',
  spec: {
    ...ORIGIN,
    properties: { ...shared, anonymous, ...specReferences },
    'x-kubernetes-validations': [anonymousWithoutCredentials('credentialsSecretRef')],
  },
  podFile: {
    ...ORIGIN,
    properties: { ...shared, anonymous, ...podPaths },
    'x-kubernetes-validations': [anonymousWithoutCredentials('credentials')],
  },
  references,
} as const satisfies UpstreamKind;

const STORE = {
  type: 'object',
  description: 'A container of an Azure storage account.',
  required: ['account', 'container'],
} as const;

export const azureBlobStore = {
  type: 'AzureBlob',
  member: 'azureBlob',
  spec: { ...STORE, properties: { ...shared, ...specReferences, container } },
  podFile: { ...STORE, properties: { ...shared, container, ...podPaths } },
  references,
} as const satisfies UpstreamKind;
