/** Who may talk to the pods: clients to the edge, the replicas to each other, the operator and monitoring to the ops listener. */
import { LABEL, PART_OF, POD_PORT } from '#crds/names.ts';
import type { Body, NetworkPolicy } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { childMetadata, childName, selectorLabels } from './labels.ts';

const OPERATOR = { [LABEL.partOf]: PART_OF, [LABEL.component]: 'operator' };
/** What the Prometheus operator and the common charts call it. */
const MONITORING = { [LABEL.name]: 'prometheus' };

export function wantsNetworkPolicy({ spec }: OrcaCache): boolean {
  return spec.networkPolicy.enabled;
}

export function networkPolicy(cache: OrcaCache) {
  const own = { matchLabels: selectorLabels(cache) };
  const anywhere = (matchLabels: Record<string, string>) => ({ namespaceSelector: {}, podSelector: { matchLabels } });
  const port = (number: number) => [{ port: number, protocol: 'TCP' }];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: childMetadata(cache, childName.workload(cache)),
    spec: {
      podSelector: own,
      // Not egress: where origin and store are is known by name only, and policies speak of addresses.
      policyTypes: ['Ingress'],
      ingress: [
        { ports: port(POD_PORT.edge) },
        { ports: port(POD_PORT.peer), from: [{ podSelector: own }] },
        { ports: port(POD_PORT.ops), from: [anywhere(OPERATOR), anywhere(MONITORING)] },
      ],
    },
  } satisfies Manifest & Body<NetworkPolicy>;
}
