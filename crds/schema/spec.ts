/** The spec of an OrcaCache. What no part of the project implements is not in it, so that writing it is an error. */
import { QUANTITY_PATTERN } from '#crds/quantity.ts';
import type { Schema } from './json-schema.ts';
import { podOptions } from './pod-options.ts';
import * as behaviour from './behaviour.ts';
import { edge } from './spec-edge.ts';
import * as upstream from './upstream.ts';
import { bytes, choice, exactly, flag, integer, nameOf, objectName, text } from './field-builders.ts';

const credentialsSecretRef = nameOf(
  'Secret of the same namespace with the keys `access-key-id` and `secret-access-key`, optional `session-token`. ' +
    'Left out: the environment, else the SDK’s default chain (workload identity).',
  'Secret',
);
const caBundleRef = nameOf(
  'ConfigMap of the same namespace whose key `ca.crt` holds the certificates to trust besides the system’s.',
  'ConfigMap',
);

const azureFields = {
  ...upstream.azureFields,
  credentialsSecretRef: nameOf(
    'Secret of the same namespace with the key `account-key` or `sas-token`, one of them. Left out: the environment, ' +
      'else workload identity.',
    'Secret',
  ),
  caBundleRef,
} as const;

const origin = {
  type: 'object',
  description: 'The remote object store that holds the truth.',
  required: ['id', 'type', 'buckets'],
  properties: {
    id: {
      ...upstream.originId,
      'x-kubernetes-validations': [
        ...(upstream.originId['x-kubernetes-validations'] ?? []),
        { rule: 'self == oldSelf', message: 'is immutable: it is part of every chunk’s name' },
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
  'x-kubernetes-validations': [exactly('S3', 's3'), exactly('AzureBlob', 'azureBlob')],
} as const satisfies Schema;

const cacheStore = {
  type: 'object',
  description: 'The store near the pods that holds the chunks; shared by all replicas.',
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
      description: 'A volume that all replicas share.',
      required: ['persistentVolumeClaim'],
      properties: {
        persistentVolumeClaim: {
          type: 'object',
          description: 'A claim of the same namespace with access mode ReadWriteMany.',
          required: ['claimName'],
          properties: {
            claimName: objectName('Name of the claim.'),
          },
        },
      },
    },
    verifyRanges: upstream.verifyRanges,
  },
  'x-kubernetes-validations': [
    exactly('S3', 's3'),
    exactly('AzureBlob', 'azureBlob'),
    exactly('Filesystem', 'filesystem'),
  ],
} as const satisfies Schema;

const proxy = {
  type: 'object',
  description:
    'An HTTP proxy on the way to origin and cachestore; a URL with a password belongs into a Secret: `pod.env` with HTTPS_PROXY.',
  required: ['httpsProxy'],
  properties: {
    httpsProxy: text('For HTTP and HTTPS alike: `http://host[:port]`.', {
      maxLength: 253,
      pattern: '^http://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?$',
      message: 'must be http://host[:port], without user, path or query',
    }),
    noProxy: {
      ...text(
        'Servers that are reached without it, separated by commas: host names with all below them, addresses, networks. ' +
          'Default: the cluster’s own.',
        { maxLength: 4096 },
      ),
      default: 'svc,cluster.local,localhost,127.0.0.0/8,::1',
    },
  },
} as const satisfies Schema;

const availability = {
  type: 'object',
  description: 'How the replicas survive the loss and the upgrade of nodes.',
  default: {},
  properties: {
    antiAffinity: {
      ...choice(
        'Whether two replicas may share a node. Default: apart where possible, never unschedulable.',
        'Required',
        'Preferred',
        'None',
      ),
      default: 'Preferred',
    },
    podDisruptionBudget: {
      ...flag(
        'Lets a drain evict one replica at a time; none for one replica. Default: on, a cold cache costs origin bytes.',
      ),
      default: true,
    },
  },
} as const satisfies Schema;

const networkPolicy = {
  type: 'object',
  description: 'Who may reach the pods, for clusters whose network enforces it.',
  default: {},
  properties: {
    enabled: {
      ...flag(
        'Makes a NetworkPolicy: clients reach the edge from everywhere, only replicas the peer port, only the operator and pods ' +
          'with the label `app.kubernetes.io/name: prometheus` the ops port. Default: off, a policy can cut off what nobody thought of.',
      ),
      default: false,
    },
  },
} as const satisfies Schema;

/** Half of the limit is the budget, and that holds four chunks. */
const LIMIT_PER_CHUNK = 2 * behaviour.CHUNKS_IN_BUDGET;

interface LimitWords extends behaviour.BudgetWords {
  readonly pod: { readonly resources: { readonly limits?: Readonly<Record<string, string | number>> } };
}

const { ALL_SIZES } = behaviour;

export const spec = {
  type: 'object',
  description: 'What the cache shall be.',
  required: ['origin', 'cacheStore'],
  properties: {
    replicas: {
      ...integer(
        'Number of pods; an autoscaler may own it. Default: the fewest that lose a third when one goes.',
        0,
        1000,
      ),
      default: 3,
    },
    origin,
    cacheStore,
    chunking: behaviour.chunking,
    metadata: behaviour.metadata,
    catalog: behaviour.catalog,
    memory: behaviour.memory,
    edge,
    availability,
    shutdown: behaviour.shutdown,
    proxy,
    networkPolicy,
    pod: podOptions,
    logLevel: behaviour.logLevel,
  },
  'x-kubernetes-validations': [
    behaviour.budgetHoldsFourChunks,
    {
      rule:
        "has(self.memory.budget) || !has(self.pod.resources.limits) || !('memory' in self.pod.resources.limits) || " +
        `!string(self.pod.resources.limits['memory']).matches('${QUANTITY_PATTERN}') || ` +
        `${ALL_SIZES}.all(s, !string(s).matches('${QUANTITY_PATTERN}') || ${bytes('s')} <= ${bytes("self.pod.resources.limits['memory']")} / ${LIMIT_PER_CHUNK})`,
      message:
        'the memory limit must hold eight of the largest chunks, or memory.budget be set: half of the limit is the budget',
      fieldPath: '.pod.resources.limits',
      reads: ['chunking', 'memory', 'pod'],
      holds: (value: LimitWords) =>
        value.memory.budget !== undefined ||
        behaviour.holdsChunks(value, value.pod.resources.limits?.['memory'], LIMIT_PER_CHUNK),
    },
  ],
} as const satisfies Schema;
