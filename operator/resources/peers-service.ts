/** Peer discovery: a headless Service that includes unready pods, because a pod needs its peers to become ready. */
import { POD_PORT } from '#crds/names.ts';
import type { Body, Service } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { childMetadata, childName, selectorLabels } from './labels.ts';

export function peersService(cache: OrcaCache) {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: childMetadata(cache, childName.peers(cache)),
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: selectorLabels(cache),
      ports: [{ name: 'peer', port: POD_PORT.peer, targetPort: 'peer', protocol: 'TCP' }],
    },
  } satisfies Manifest & Body<Service>;
}
