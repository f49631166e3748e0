/** The pod's config file and its runtime file: the words of the spec, with references resolved to paths. */
import * as behaviour from './behaviour.ts';
import * as edgeWords from './edge.ts';
import type { Infer, Schema } from './json-schema.ts';
import * as upstream from './upstream.ts';
import { choice, exactly, text } from './field-builders.ts';

const MAX_PATH_LENGTH = 4096;

const path = (description: string) => text(description, { maxLength: MAX_PATH_LENGTH, minLength: 1 });

const directory = (description: string) =>
  ({
    type: 'object',
    description,
    required: ['directory'],
    properties: { directory: path('The directory.') },
  }) as const;

const address = (description: string) =>
  text(description, {
    maxLength: 320,
    pattern: '^([A-Za-z0-9.-]+|[[][0-9A-Fa-f:.]+]):[0-9]{1,5}$',
    message: 'must be host:port, with an IPv6 address in brackets',
  });

const credentials = directory(
  'Directory with the files `access-key-id` and `secret-access-key`, optional `session-token`; read again when they change. ' +
    'Left out: `ORCA_ORIGIN_ACCESS_KEY_ID` and `ORCA_ORIGIN_SECRET_ACCESS_KEY` (`ORCA_CACHESTORE_…` for the store), else ' +
    'the SDK’s default chain.',
);
const azureCredentials = directory(
  'Directory with the file `account-key` or `sas-token`; read again when it changes. Left out: `ORCA_ORIGIN_ACCOUNT_KEY` ' +
    '(`ORCA_CACHESTORE_ACCOUNT_KEY` for the store), else workload identity.',
);
const caFile = {
  ...text('File of certificates to trust besides the system’s. Empty: none.', { maxLength: MAX_PATH_LENGTH }),
  default: '',
} as const;

const provenConfigs = {
  type: 'array',
  description:
    'Hashes of configurations that have worked; a pod that has one of them waits for no origin and no store.',
  // Those that some ReplicaSet may still start pods with: a Deployment keeps three old ones.
  maxItems: 16,
  items: text('One of them.', { maxLength: 64, pattern: '^[0-9a-f]*$', message: 'must be hex digits' }),
} as const satisfies Schema;

export const podFile = {
  type: 'object',
  required: ['origin', 'cacheStore'],
  properties: {
    listen: {
      type: 'object',
      description: 'Where the three listeners are; port 0 is any free one.',
      default: {},
      properties: {
        edge: { ...address('Clients. Default: the port that the Service targets.'), default: '0.0.0.0:8443' },
        peer: { ...address('Replicas. Default: the port that the peers’ Service has.'), default: '0.0.0.0:8444' },
        ops: {
          ...address('Probes and metrics. Default: the port that the pod’s probes ask.'),
          default: '0.0.0.0:8442',
        },
      },
    },
    origin: {
      type: 'object',
      description: 'The remote object store that holds the truth.',
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
      'x-kubernetes-validations': [exactly('S3', 's3'), exactly('AzureBlob', 'azureBlob')],
    },
    cacheStore: {
      type: 'object',
      description: 'The store near the pods that holds the chunks; shared by all replicas.',
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
          properties: { path: path('Its directory for chunks.') },
        },
        verifyRanges: upstream.verifyRanges,
      },
      'x-kubernetes-validations': [
        exactly('S3', 's3'),
        exactly('AzureBlob', 'azureBlob'),
        exactly('Filesystem', 'filesystem'),
      ],
    },
    chunking: behaviour.chunking,
    metadata: behaviour.metadata,
    catalog: behaviour.catalog,
    memory: behaviour.memory,
    peers: {
      type: 'object',
      description: 'How replicas find and trust each other. Left out: this process alone.',
      default: {},
      properties: {
        type: {
          ...choice('Where the list of replicas comes from. Default: needs no Kubernetes.', 'EndpointSlices', 'Static'),
          default: 'Static',
        },
        endpointSlices: {
          type: 'object',
          description: 'The slices of a headless Service.',
          required: ['namespace', 'service'],
          properties: {
            namespace: text('Its namespace.', { maxLength: 63, minLength: 1 }),
            service: text('Its name.', { maxLength: 63, minLength: 1 }),
          },
        },
        static: {
          type: 'object',
          description: 'A list that never changes. Left out: this process alone.',
          required: ['peers'],
          properties: {
            peers: {
              type: 'array',
              description: 'The peer listeners of all replicas, this one included.',
              minItems: 1,
              maxItems: 1000,
              'x-kubernetes-list-type': 'set',
              items: address('One of them.'),
            },
          },
        },
        self: text(
          'The address by which the others know this replica: an IP, for Static with the port. Left out: the environment’s `POD_IP`.',
          { maxLength: 320, minLength: 1 },
        ),
        auth: directory(
          'Directory with the file `key`, optional `previous-key`; must be given with EndpointSlices. Left out: no authentication.',
        ),
      },
      'x-kubernetes-validations': [
        exactly('EndpointSlices', 'endpointSlices'),
        {
          message: 'must not be set when type is EndpointSlices',
          fieldPath: '.static',
          reads: ['type'],
          holds: (value: { readonly type: string }) => value.type === 'Static' || !('static' in value),
        },
        {
          message: 'is required when type is EndpointSlices: the pod network is shared with others',
          fieldPath: '.auth',
          reads: ['type'],
          holds: (value: { readonly type: string }) => value.type === 'Static' || 'auth' in value,
        },
      ],
    },
    edge: {
      type: 'object',
      description: 'What clients talk to.',
      default: {},
      properties: {
        auth: {
          type: 'object',
          description: 'Who may read.',
          default: {},
          properties: {
            type: edgeWords.authType,
            directory: path('Directory with the file `keys.yaml`; read again when it changes.'),
          },
          'x-kubernetes-validations': [edgeWords.keysUnlessAnonymous('directory')],
        },
        tls: directory(
          'Directory with the files `tls.crt` and `tls.key`; read again when they change. Left out: HTTP.',
        ),
        region: edgeWords.edgeRegion,
        virtualHostDomains: edgeWords.virtualHostDomains,
        corsOrigins: edgeWords.corsOrigins,
        listTTL: edgeWords.listTTL,
        maxConnections: edgeWords.maxConnections,
        explain: edgeWords.explain,
      },
    },
    shutdown: behaviour.shutdown,
    runtimeFile: path('File whose keys are taken up while running and win over this one. Left out: none.'),
    logLevel: behaviour.logLevel,
  },
  'x-kubernetes-validations': [behaviour.budgetHoldsFourChunks],
} as const satisfies Schema;

export type PodFile = Infer<typeof podFile>;

/** No key has a default here: what is left out stays as the config file has it. */
export const runtimeFile = {
  type: 'object',
  properties: {
    provenConfigs,
    logLevel: withoutDefault(behaviour.logLevel),
    origin: {
      type: 'object',
      description: 'Of the words of `origin`:',
      properties: { targetGlobal: withoutDefault(upstream.targetGlobal) },
    },
    chunking: {
      type: 'object',
      description: 'Of the words of `chunking`:',
      properties: { readahead: withoutDefault(behaviour.readahead) },
    },
  },
} as const satisfies Schema;

export type RuntimeFile = Infer<typeof runtimeFile>;

function withoutDefault<S extends { readonly default: unknown }>(schema: S): Omit<S, 'default'> {
  const { default: _default, ...rest } = schema;
  return rest;
}
