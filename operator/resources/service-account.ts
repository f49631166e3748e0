/** Who the pods are: an account of their own, with the annotations that cloud identities hang on. */
import type { Body, ServiceAccount } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { childMetadata, childName } from './labels.ts';

export function serviceAccount(cache: OrcaCache) {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: childMetadata(cache, childName.account(cache), {
      annotations: cache.spec.pod.serviceAccountAnnotations ?? {},
    }),
    // The token is mounted where the pod template asks for it, not into whatever else runs under this account.
    automountServiceAccountToken: false,
  } satisfies Manifest & Body<ServiceAccount>;
}
