/** `spec.pod`: the limited escape hatch for what a cluster demands of its pods. Kubernetes' own words and meanings. */
import { parseResource } from '#crds/quantity.ts';
import type { Schema } from './json-schema.ts';
import { choice, integer, text } from './field-builders.ts';

const NAME_LENGTH = 253;
const LABEL_LENGTH = 317;

function words(description: string, maxLength: number) {
  return {
    type: 'object',
    description,
    maxProperties: 64,
    additionalProperties: { type: 'string', maxLength },
  } as const;
}

function reference(description: string) {
  return {
    type: 'object',
    description,
    required: ['name', 'key'],
    properties: {
      name: text('Its name.', { maxLength: NAME_LENGTH, minLength: 1 }),
      key: text('The key in it.', { maxLength: NAME_LENGTH, minLength: 1 }),
    },
  } as const;
}

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

interface ResourceWords {
  readonly requests?: Readonly<Record<string, string | number>>;
  readonly limits?: Readonly<Record<string, string | number>>;
}

interface TolerationWords {
  readonly key?: string;
  readonly operator?: string;
  readonly value?: string;
  readonly effect?: string;
}

export const podOptions = {
  type: 'object',
  description: 'What the cluster demands of the cache’s pods.',
  default: {},
  properties: {
    image: text('Image of the cache. Left out: the one that the operator was installed with.', {
      maxLength: 512,
      minLength: 1,
    }),
    imagePullPolicy: choice(
      'Left out: the one that the operator was installed with.',
      'Always',
      'IfNotPresent',
      'Never',
    ),
    imagePullSecrets: {
      type: 'array',
      description: 'Secrets to pull the image with.',
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
        'Resources of the cache container. Half of the memory limit becomes the chunk budget. Default: 1 GiB for chunks and as much ' +
        'for the process; no CPU limit, since throttling stalls every client at once.',
      default: { requests: { cpu: '250m', memory: '1Gi' }, limits: { memory: '2Gi' } },
      properties: {
        requests: { ...quantities, description: 'What the scheduler reserves.' },
        limits: { ...quantities, description: 'What the container may not exceed.' },
      },
      'x-kubernetes-validations': [
        {
          rule:
            '!has(self.requests) || !has(self.limits) || self.requests.all(r, !(r in self.limits) || ' +
            '!isQuantity(string(self.requests[r])) || !isQuantity(string(self.limits[r])) || ' +
            'quantity(string(self.requests[r])).compareTo(quantity(string(self.limits[r]))) <= 0)',
          message: 'must not be above the limits',
          fieldPath: '.requests',
          holds: ({ requests = {}, limits = {} }: ResourceWords) =>
            Object.entries(requests).every(
              ([name, value]) => !((parseResource(value) ?? 0) > (parseResource(limits[name]) ?? Infinity)),
            ),
        },
      ],
    },
    nodeSelector: words('Labels that a node must have.', 63),
    tolerations: {
      type: 'array',
      description: 'Taints of nodes that the pods accept.',
      maxItems: 32,
      'x-kubernetes-list-type': 'atomic',
      items: {
        type: 'object',
        properties: {
          key: text('Key of the taint; empty with Exists: all.', { maxLength: LABEL_LENGTH }),
          operator: choice('Left out: Equal.', 'Exists', 'Equal'),
          value: text('Value of the taint.', { maxLength: 63 }),
          effect: choice('Left out: all.', 'NoSchedule', 'PreferNoSchedule', 'NoExecute'),
          tolerationSeconds: { ...integer('How long NoExecute is tolerated.', 0, 2_147_483_647), format: 'int64' },
        },
        'x-kubernetes-validations': [
          {
            rule: "has(self.key) && size(self.key) > 0 || has(self.operator) && self.operator == 'Exists'",
            message: 'must be Exists where there is no key',
            fieldPath: '.operator',
            holds: ({ key = '', operator }: TolerationWords) => key !== '' || operator === 'Exists',
          },
          {
            rule: "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || size(self.value) == 0",
            message: 'must be left out where operator is Exists',
            fieldPath: '.value',
            holds: ({ operator, value = '' }: TolerationWords) => operator !== 'Exists' || value === '',
          },
          {
            rule: "!has(self.tolerationSeconds) || has(self.effect) && self.effect == 'NoExecute'",
            message: 'must be left out unless effect is NoExecute',
            fieldPath: '.tolerationSeconds',
            holds: (value: TolerationWords) => !('tolerationSeconds' in value) || value.effect === 'NoExecute',
          },
        ],
      },
    },
    priorityClassName: text('PriorityClass of the pods.', { maxLength: NAME_LENGTH, minLength: 1 }),
    topologySpreadConstraints: {
      type: 'array',
      description:
        'How the replicas spread over zones and nodes; the operator adds the selector of the cache’s own pods.',
      maxItems: 8,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['topologyKey', 'whenUnsatisfiable'],
      items: {
        type: 'object',
        required: ['maxSkew', 'topologyKey', 'whenUnsatisfiable'],
        properties: {
          maxSkew: integer('By how many pods two domains may differ.', 1, 100),
          topologyKey: text('Node label that names the domain.', { maxLength: LABEL_LENGTH, minLength: 1 }),
          whenUnsatisfiable: choice('What happens where it can’t be met.', 'DoNotSchedule', 'ScheduleAnyway'),
          minDomains: integer('Domains that must exist.', 1, 100),
          nodeAffinityPolicy: choice('Whether nodes outside the node selector count.', 'Honor', 'Ignore'),
          nodeTaintsPolicy: choice('Whether tainted nodes count.', 'Honor', 'Ignore'),
        },
        'x-kubernetes-validations': [
          {
            rule: "!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
            message: 'must be left out unless whenUnsatisfiable is DoNotSchedule',
            fieldPath: '.minDomains',
            holds: (value: { readonly whenUnsatisfiable: string }) =>
              !('minDomains' in value) || value.whenUnsatisfiable === 'DoNotSchedule',
          },
        ],
      },
    },
    serviceAccountAnnotations: words(
      'Annotations of the pods’ ServiceAccount, such as a cloud role for the default credential chain.',
      4096,
    ),
    labels: words('More labels of the pods.', 63),
    annotations: words('More annotations of the pods.', 4096),
    env: {
      type: 'array',
      description: 'More environment variables of the cache container.',
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
            message: "must hold only letters, digits and '_', and not begin with a digit",
          }),
          value: text('Its value.', { maxLength: 4096 }),
          valueFrom: {
            type: 'object',
            description: 'Where its value comes from.',
            properties: {
              secretKeyRef: reference('A key of a Secret.'),
              configMapKeyRef: reference('A key of a ConfigMap.'),
            },
            'x-kubernetes-validations': [
              {
                rule: 'has(self.secretKeyRef) != has(self.configMapKeyRef)',
                message: 'must hold exactly one of secretKeyRef and configMapKeyRef',
                holds: (value: object) => 'secretKeyRef' in value !== 'configMapKeyRef' in value,
              },
            ],
          },
        },
        'x-kubernetes-validations': [
          {
            rule: '!(has(self.value) && has(self.valueFrom))',
            message: 'must not hold both value and valueFrom',
            holds: (value: object) => !('value' in value && 'valueFrom' in value),
          },
        ],
      },
    },
  },
} as const satisfies Schema;
