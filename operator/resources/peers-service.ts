/** Where replicas find each other: headless, and also before they are ready, since being ready waits for it. */
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
