/** The key by which replicas recognise each other. Created once: a second key would cut a running cache in two. */
import type { Body, Secret } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { BuildContext } from './context.ts';
import { childMetadata, childName } from './labels.ts';

export function peerAuthSecret(cache: OrcaCache, context: BuildContext) {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: childMetadata(cache, childName.peerAuth(cache)),
    type: 'Opaque',
    data: { key: context.newPeerKeyBase64 },
  } satisfies Manifest & Body<Secret>;
}
