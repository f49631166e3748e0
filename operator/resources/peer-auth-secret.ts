/** The key by which replicas recognise each other. Created once: another one is brought in beside it, by rotation. */
import { ANNOTATION } from '#crds/names.ts';
import type { Body, Secret } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { BuildContext } from './context.ts';
import { childMetadata, childName } from './labels.ts';

export function peerAuthSecret(cache: OrcaCache, context: BuildContext) {
  const asked = cache.metadata.annotations?.[ANNOTATION.rotatePeerAuth];
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    // A key that is made now is as new as the cache may have asked for.
    metadata: childMetadata(cache, childName.peerAuth(cache), {
      annotations: asked === undefined ? {} : { [ANNOTATION.rotatePeerAuth]: asked },
    }),
    type: 'Opaque',
    data: { key: context.newPeerKeyBase64 },
  } satisfies Manifest & Body<Secret>;
}
