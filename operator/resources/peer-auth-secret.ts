/** The shared key with which replicas authenticate each other. Created once; a rotation adds a new key beside it. */
import { ANNOTATION } from '#crds/names.ts';
import type { Body, Secret } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { BuildContext } from './context.ts';
import { childMetadata, childName } from './labels.ts';

export function peerAuthSecret(cache: OrcaCache, context: BuildContext) {
  const requested = cache.metadata.annotations?.[ANNOTATION.rotatePeerAuth];
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    // A new key satisfies any rotation that the cache already requests.
    metadata: childMetadata(cache, childName.peerAuth(cache), {
      annotations: requested === undefined ? {} : { [ANNOTATION.rotatePeerAuth]: requested },
    }),
    type: 'Opaque',
    data: { key: context.newPeerKeyBase64 },
  } satisfies Manifest & Body<Secret>;
}
