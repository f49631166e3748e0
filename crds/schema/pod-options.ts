/** `spec.pod`: a limited set of pod settings that a cluster may require, with the names and meanings of Kubernetes. */
import { parseResource } from '#crds/quantity.ts';
import { choice, integer, stringMap, text } from './field-builders.ts';
import type { Schema } from './json-schema.ts';
import { containerSecurityContext, securityContext, template } from './pod-template-options.ts';
import { workers } from './workers.ts';

const NAME_LENGTH = 253;
const LABEL_LENGTH = 317;

function keyReference(kind: string) {
  return {
    type: 'object',
    description: `A key of a ${kind} in the same namespace.`,
    required: ['name', 'key'],
    properties: {
      name: text(`Name of the ${kind}.`, { maxLength: NAME_LENGTH, minLength: 1 }),
      key: text(`Key in the ${kind}.`, { maxLength: NAME_LENGTH, minLength: 1 }),
    },
  } as const;
}

/** The resources whose request may be less than the limit. */
const COMPARED = ['cpu', 'memory', 'ephemeral-storage'];

const quantities = {
  type: 'object',
  maxProperties: 8,
  additionalProperties: {
    maxLength: 32,
    'x-kubernetes-int-or-string': true,
    'x-kubernetes-validations': [
      {
        rule: 'isQuantity(string(self))',
        message: 'must be a quantity, such as 250m or 2Gi',
        holds: (value: string | number) =>
          /^[0-9]+([.][0-9]*)?(m|k|[MGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$/.test(String(value)),
      },
    ],
  },
} as const satisfies Schema;

interface ResourceFields {
  readonly requests?: Readonly<Record<string, string | number>>;
  readonly limits?: Readonly<Record<string, string | number>>;
}

interface TolerationFields {
  readonly key?: string;
  readonly operator?: string;
  readonly value?: string;
  readonly effect?: string;
}

export const podOptions = {
  type: 'object',
  description: 'Settings of the cache’s pods that depend on the cluster.',
  default: {},
  properties: {
    image: text('Image of the cache. If omitted, the image that the operator was installed with.', {
      maxLength: 512,
      minLength: 1,
    }),
    imagePullPolicy: choice(
      'Pull policy of the image. If omitted, the policy that the operator was installed with.',
      'Always',
      'IfNotPresent',
      'Never',
    ),
    imagePullSecrets: {
      type: 'array',
      description: 'Secrets for pulling the image.',
      maxItems: 16,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: {
        type: 'object',
        required: ['name'],
        properties: { name: text('Name of the Secret.', { maxLength: NAME_LENGTH, minLength: 1 }) },
      },
    },
    resources: {
      type: 'object',
      description:
        'Resources of the cache container. Half of the memory limit becomes the chunk budget. Default: 250m CPU and 1Gi ' +
        'of memory requested, with a limit of 2Gi: 1 GiB for chunks and as much for the process. No CPU limit, because ' +
        'throttling stalls every client at once.',
      default: { requests: { cpu: '250m', memory: '1Gi' }, limits: { memory: '2Gi' } },
      properties: {
        requests: { ...quantities, description: 'Amounts that the scheduler reserves.' },
        limits: { ...quantities, description: 'Amounts that the container must not exceed.' },
      },
      'x-kubernetes-validations': [
        {
          rule:
            // Only these names, because of the estimated cost; of all others the limit must equal the request anyway.
            `!has(self.requests) || !has(self.limits) || [${COMPARED.map((name) => `'${name}'`).join(', ')}].all(r, ` +
            '!(r in self.requests) || !(r in self.limits) || [string(self.requests[r])].all(request, ' +
            '[string(self.limits[r])].all(limit, !isQuantity(request) || !isQuantity(limit) || ' +
            'quantity(request).compareTo(quantity(limit)) <= 0)))',
          message: 'must not exceed the limits',
          fieldPath: '.requests',
          holds: ({ requests = {}, limits = {} }: ResourceFields) =>
            COMPARED.every(
              (name) => !((parseResource(requests[name]) ?? 0) > (parseResource(limits[name]) ?? Infinity)),
            ),
        },
      ],
    },
    workers,
    securityContext,
    containerSecurityContext,
    template,
    nodeSelector: stringMap('Labels that a node must have to run the pods.', 63),
    tolerations: {
      type: 'array',
      description: 'Node taints that the pods tolerate.',
      maxItems: 32,
      'x-kubernetes-list-type': 'atomic',
      items: {
        type: 'object',
        properties: {
          key: text('Key of the taint. If empty and the operator is Exists, every taint.', { maxLength: LABEL_LENGTH }),
          operator: choice('How the key matches. If omitted, Equal.', 'Exists', 'Equal'),
          value: text('Value of the taint.', { maxLength: 63 }),
          effect: choice(
            'Effect of the taint. If omitted, every effect.',
            'NoSchedule',
            'PreferNoSchedule',
            'NoExecute',
          ),
          tolerationSeconds: {
            ...integer('How long NoExecute is tolerated, in seconds. If omitted, forever.', 0, 2_147_483_647),
            format: 'int64',
          },
        },
        'x-kubernetes-validations': [
          {
            rule: "has(self.key) && size(self.key) > 0 || has(self.operator) && self.operator == 'Exists'",
            message: 'must be Exists if key is empty',
            fieldPath: '.operator',
            holds: ({ key = '', operator }: TolerationFields) => key !== '' || operator === 'Exists',
          },
          {
            rule: "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || size(self.value) == 0",
            message: 'must be omitted if operator is Exists',
            fieldPath: '.value',
            holds: ({ operator, value = '' }: TolerationFields) => operator !== 'Exists' || value === '',
          },
          {
            rule: "!has(self.tolerationSeconds) || has(self.effect) && self.effect == 'NoExecute'",
            message: 'must be omitted unless effect is NoExecute',
            fieldPath: '.tolerationSeconds',
            holds: (value: TolerationFields) => !('tolerationSeconds' in value) || value.effect === 'NoExecute',
          },
        ],
      },
    },
    priorityClassName: text('PriorityClass of the pods.', { maxLength: NAME_LENGTH, minLength: 1 }),
    topologySpreadConstraints: {
      type: 'array',
      description:
        'How the replicas are spread over zones and nodes. The operator adds the label selector of the cache’s pods.',
      maxItems: 8,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['topologyKey', 'whenUnsatisfiable'],
      items: {
        type: 'object',
        required: ['maxSkew', 'topologyKey', 'whenUnsatisfiable'],
        properties: {
          maxSkew: integer('Maximum difference in the number of pods between two domains.', 1, 100),
          topologyKey: text('Node label whose value is the domain.', { maxLength: LABEL_LENGTH, minLength: 1 }),
          whenUnsatisfiable: choice(
            'What the scheduler does if the constraint cannot be met.',
            'DoNotSchedule',
            'ScheduleAnyway',
          ),
          minDomains: integer('Minimum number of domains.', 1, 100),
          nodeAffinityPolicy: choice('Whether the node selector limits which nodes count.', 'Honor', 'Ignore'),
          nodeTaintsPolicy: choice('Whether taints limit which nodes count.', 'Honor', 'Ignore'),
        },
        'x-kubernetes-validations': [
          {
            rule: "!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
            message: 'must be omitted unless whenUnsatisfiable is DoNotSchedule',
            fieldPath: '.minDomains',
            holds: (value: { readonly whenUnsatisfiable: string }) =>
              !('minDomains' in value) || value.whenUnsatisfiable === 'DoNotSchedule',
          },
        ],
      },
    },
    serviceAccountAnnotations: stringMap(
      'Annotations of the pods’ ServiceAccount, such as the cloud role for workload identity.',
      4096,
    ),
    labels: stringMap('Additional labels of the pods.', 63),
    annotations: stringMap('Additional annotations of the pods.', 4096),
    env: {
      type: 'array',
      description: 'Additional environment variables of the cache container.',
      maxItems: 64,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: {
        type: 'object',
        required: ['name'],
        properties: {
          name: text('Name of the variable.', {
            maxLength: 128,
            pattern: '^[A-Za-z_][A-Za-z0-9_]*$',
            message: "must contain only letters, digits and '_', and not begin with a digit",
          }),
          value: text('Value of the variable.', { maxLength: 4096 }),
          valueFrom: {
            type: 'object',
            description: 'Source of the value.',
            properties: {
              secretKeyRef: keyReference('Secret'),
              configMapKeyRef: keyReference('ConfigMap'),
            },
            'x-kubernetes-validations': [
              {
                rule: 'has(self.secretKeyRef) != has(self.configMapKeyRef)',
                message: 'must contain exactly one of secretKeyRef and configMapKeyRef',
                holds: (value: object) => 'secretKeyRef' in value !== 'configMapKeyRef' in value,
              },
            ],
          },
        },
        'x-kubernetes-validations': [
          {
            rule: '!(has(self.value) && has(self.valueFrom))',
            message: 'must not contain both value and valueFrom',
            holds: (value: object) => !('value' in value && 'valueFrom' in value),
          },
        ],
      },
    },
  },
} as const satisfies Schema;
