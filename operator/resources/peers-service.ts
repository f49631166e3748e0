/**
 * Peer discovery: a headless Service that includes unready pods, because a pod needs its peers to become ready.
 *
 * It names the peer ports of as many workers as a pod can have. Kubernetes leaves out the ports that a pod does not
 * have, and puts pods with different ports into different EndpointSlices, so the ports of a slice show how many
 * workers its pods have, also while a rollout changes the number.
 */
import { MAX_WORKERS, peerPortName, POD_PORT } from '#crds/names.ts';
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
      ports: Array.from({ length: MAX_WORKERS }, (_, index) => ({
        name: peerPortName(index),
        port: POD_PORT.peer + index,
        targetPort: peerPortName(index),
        protocol: 'TCP',
      })),
    },
  } satisfies Manifest & Body<Service>;
}
