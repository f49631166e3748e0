/** `spec.edge`: the shared fields of the edge, plus its Service and the references to its Secrets. */
import * as edgeFields from './edge.ts';
import { choice, integer, objectName, objectReference, withDefault } from './field-builders.ts';
import type { Schema } from './json-schema.ts';

export const edge = {
  type: 'object',
  description: 'Listener for clients.',
  default: {},
  properties: {
    service: {
      type: 'object',
      description: 'Service in front of the replicas. It has the same name as the cache.',
      default: {},
      properties: {
        type: withDefault(
          choice('Type of the Service.', 'ClusterIP', 'NodePort', 'LoadBalancer'),
          'ClusterIP',
          'which is reachable only inside the cluster',
        ),
        port: integer('Port of the Service. If omitted, 80, or 443 with `tls`.', 1, 65_535),
        annotations: {
          type: 'object',
          description: 'Annotations of the Service.',
          maxProperties: 64,
          additionalProperties: { type: 'string', maxLength: 4096 },
        },
        trafficDistribution: choice(
          'Whether to prefer replicas in the client’s zone or on its node. If omitted, all replicas are used equally.',
          'PreferSameZone',
          'PreferSameNode',
          'PreferClose',
        ),
        ipFamilyPolicy: choice(
          'Whether the Service has an address of one IP family or of both. If omitted, the cluster’s default: one.',
          'SingleStack',
          'PreferDualStack',
          'RequireDualStack',
        ),
        ipFamilies: {
          type: 'array',
          description: 'IP families of the Service, the preferred one first. If omitted, those of the cluster.',
          minItems: 1,
          maxItems: 2,
          'x-kubernetes-list-type': 'atomic',
          items: choice('IP family.', 'IPv4', 'IPv6'),
          'x-kubernetes-validations': [
            {
              rule: 'self.size() < 2 || self[0] != self[1]',
              message: 'must not name a family twice',
              holds: (families: readonly string[]) => families.length < 2 || families[0] !== families[1],
            },
          ],
        },
      },
    },
    auth: {
      type: 'object',
      description: 'How clients authenticate.',
      default: {},
      properties: {
        type: edgeFields.authType,
        secretRef: objectReference(
          'Secret in the same namespace. Its key `keys.yaml` lists the keys of clients: `accessKeyId` and ' +
            '`secretAccessKey`, or `token`, and optionally the `buckets` (`name`, `prefix`) that the key may read. Pods ' +
            'pick up changes without a restart.',
          'Secret',
        ),
      },
      'x-kubernetes-validations': [edgeFields.keysUnlessAnonymous('secretRef')],
    },
    tls: {
      type: 'object',
      description: 'HTTPS for clients. If omitted, HTTP.',
      required: ['secretName'],
      properties: {
        secretName: objectName(
          'Secret of type kubernetes.io/tls in the same namespace. Pods pick up a renewed certificate without a restart.',
        ),
      },
    },
    region: edgeFields.edgeRegion,
    virtualHostDomains: edgeFields.virtualHostDomains,
    corsOrigins: edgeFields.corsOrigins,
    listTTL: edgeFields.listTTL,
    maxConnections: edgeFields.maxConnections,
    accessLog: edgeFields.accessLog,
    ignoreClientCacheControl: edgeFields.ignoreClientCacheControl,
    explain: edgeFields.explain,
  },
} as const satisfies Schema;
