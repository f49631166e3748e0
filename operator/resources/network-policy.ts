/**
 * Ingress to the pods: clients to the edge port, replicas to the peer ports, the operator and monitoring to the ops
 * port.
 */
import { LABEL, LAST_PEER_PORT, PART_OF, POD_PORT } from '#crds/names.ts';
import type { Body, NetworkPolicy } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { childMetadata, childName, selectorLabels } from './labels.ts';

const OPERATOR = { [LABEL.partOf]: PART_OF, [LABEL.component]: 'operator' };
/** The label that the Prometheus operator and the common charts set. */
const MONITORING = { [LABEL.name]: 'prometheus' };

export function wantsNetworkPolicy({ spec }: OrcaCache): boolean {
  return spec.networkPolicy.enabled;
}

export function networkPolicy(cache: OrcaCache) {
  const own = { matchLabels: selectorLabels(cache) };
  const anywhere = (matchLabels: Record<string, string>) => ({ namespaceSelector: {}, podSelector: { matchLabels } });
  const port = (number: number) => [{ port: number, protocol: 'TCP' }];
  // The ports of as many workers as there can be: the policy must admit them before a rollout starts the first pod that
  // has them. Heartbeats use the same numbers in UDP.
  const range = { port: POD_PORT.peer, endPort: LAST_PEER_PORT };
  const peerPorts = ['TCP', 'UDP'].map((protocol) => ({ ...range, protocol }));
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: childMetadata(cache, childName.workload(cache)),
    spec: {
      podSelector: own,
      // No egress rules: origin and store are configured by host name, and network policies match addresses.
      policyTypes: ['Ingress'],
      ingress: [
        { ports: port(POD_PORT.edge) },
        { ports: peerPorts, from: [{ podSelector: own }] },
        { ports: port(POD_PORT.ops), from: [anywhere(OPERATOR), anywhere(MONITORING)] },
      ],
    },
  } satisfies Manifest & Body<NetworkPolicy>;
}
