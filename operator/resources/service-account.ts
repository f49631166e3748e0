/** The pods' own ServiceAccount, with the annotations for cloud workload identities. */
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
    // The pod template mounts the token explicitly; other pods with this account do not get it by default.
    automountServiceAccountToken: false,
  } satisfies Manifest & Body<ServiceAccount>;
}
