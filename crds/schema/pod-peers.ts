/** `peers` of the pod's config file: cluster membership and the shared key of the replicas. */
import { choice, text, unionMember, withDefault } from './field-builders.ts';
import type { Schema } from './json-schema.ts';
import { address, directory } from './pod-path.ts';

export const peers = {
  type: 'object',
  description: 'How replicas discover and authenticate each other. If omitted, this process is the only replica.',
  default: {},
  properties: {
    type: withDefault(
      choice('Source of the list of replicas.', 'EndpointSlices', 'Static'),
      'Static',
      'which works without Kubernetes',
    ),
    endpointSlices: {
      type: 'object',
      description: 'The EndpointSlices of a headless Service.',
      required: ['namespace', 'service'],
      properties: {
        namespace: text('Namespace of the Service.', { maxLength: 63, minLength: 1 }),
        service: text('Name of the Service.', { maxLength: 63, minLength: 1 }),
      },
    },
    static: {
      type: 'object',
      description: 'A fixed list. If omitted, this process is the only replica.',
      required: ['peers'],
      properties: {
        peers: {
          type: 'array',
          description: 'Peer addresses of all replicas, including this one.',
          minItems: 1,
          maxItems: 1000,
          'x-kubernetes-list-type': 'set',
          items: address('Peer address of a replica.'),
        },
      },
    },
    self: text(
      'Address by which the other replicas know this one: an IP address, with the port if the type is Static. If ' +
        'omitted, the environment variable `POD_IP`.',
      { maxLength: 320, minLength: 1 },
    ),
    auth: directory(
      'Directory with the file `key`, and optionally `previous-key`. Required with EndpointSlices. If omitted, replicas ' +
        'do not authenticate each other.',
    ),
  },
  'x-kubernetes-validations': [
    unionMember('EndpointSlices', 'endpointSlices'),
    {
      message: 'must not be set when type is EndpointSlices',
      fieldPath: '.static',
      reads: ['type'],
      holds: (value: { readonly type: string }) => value.type === 'Static' || !('static' in value),
    },
    {
      message: 'is required when type is EndpointSlices, because other pods can reach the peer port',
      fieldPath: '.auth',
      reads: ['type'],
      holds: (value: { readonly type: string }) => value.type === 'Static' || 'auth' in value,
    },
  ],
} as const satisfies Schema;
