/** `spec.edge`: what clients talk to, with the Service in front and the Secrets behind it. */
import * as edgeWords from './edge.ts';
import type { Schema } from './json-schema.ts';
import { choice, integer, nameOf, objectName } from './field-builders.ts';

export const edge = {
  type: 'object',
  description: 'What clients talk to.',
  default: {},
  properties: {
    service: {
      type: 'object',
      description: 'The Service in front of the replicas; it has the cache’s name.',
      default: {},
      properties: {
        type: {
          ...choice('Its type. Default: inside the cluster only.', 'ClusterIP', 'NodePort', 'LoadBalancer'),
          default: 'ClusterIP',
        },
        port: integer('Its port. Left out: 80, with `tls` 443.', 1, 65_535),
        annotations: {
          type: 'object',
          description: 'Its annotations.',
          maxProperties: 64,
          additionalProperties: { type: 'string', maxLength: 4096 },
        },
        trafficDistribution: choice(
          'Prefers replicas in the client’s zone or on its node. Left out: all alike.',
          'PreferSameZone',
          'PreferSameNode',
          'PreferClose',
        ),
      },
    },
    auth: {
      type: 'object',
      description: 'Who may read.',
      default: {},
      properties: {
        type: edgeWords.authType,
        secretRef: nameOf(
          'Secret of the same namespace whose key `keys.yaml` holds the list of keys: `accessKeyId` and `secretAccessKey`, or ' +
            '`token`; and the `buckets` (`name`, `prefix`) that it may read. Changes reach the pods without a restart.',
          'Secret',
        ),
      },
      'x-kubernetes-validations': [edgeWords.keysUnlessAnonymous('secretRef')],
    },
    tls: {
      type: 'object',
      description: 'HTTPS for clients. Left out: HTTP.',
      required: ['secretName'],
      properties: {
        secretName: objectName(
          'Secret of the same namespace and of type kubernetes.io/tls; a renewed one reaches the pods without a restart.',
        ),
      },
    },
    region: edgeWords.edgeRegion,
    virtualHostDomains: edgeWords.virtualHostDomains,
    corsOrigins: edgeWords.corsOrigins,
    listTTL: edgeWords.listTTL,
    maxConnections: edgeWords.maxConnections,
    explain: edgeWords.explain,
  },
} as const satisfies Schema;
