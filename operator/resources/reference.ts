/**
 * The Secrets and ConfigMaps that a cache names, what each must hold, and where pods find it: one list for the mounts
 * and for the check before a rollout.
 */
import { MOUNT } from '#crds/names.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';

export interface Reference {
  /** The spec's path that names it, for messages. */
  readonly field: string;
  readonly kind: 'Secret' | 'ConfigMap';
  readonly name: string;
  /** It must hold all of them. */
  readonly keys: readonly string[];
  /** And exactly one of these. */
  readonly oneOf?: readonly string[];
  /** Where it is mounted; absent for environment variables. */
  readonly mount?: { readonly volume: string; readonly path: string };
}

const S3_KEYS = ['access-key-id', 'secret-access-key'];
const AZURE_KEYS = ['account-key', 'sas-token'];
const CA_KEYS = ['ca.crt'];

export function references(cache: OrcaCache): Reference[] {
  const { origin, cacheStore, edge } = cache.spec;
  return [
    ...ofUpstream('origin', 'spec.origin.s3', origin.s3, { keys: S3_KEYS }),
    ...ofUpstream('origin', 'spec.origin.azureBlob', origin.azureBlob, { keys: [], oneOf: AZURE_KEYS }),
    ...ofUpstream('cachestore', 'spec.cacheStore.s3', cacheStore.s3, { keys: S3_KEYS }),
    ...ofUpstream('cachestore', 'spec.cacheStore.azureBlob', cacheStore.azureBlob, { keys: [], oneOf: AZURE_KEYS }),
    ...ofEdge(edge),
    ...ofEnvironment(cache),
  ];
}

interface Upstream {
  readonly credentialsSecretRef?: { readonly name: string };
  readonly caBundleRef?: { readonly name: string };
}

function ofUpstream(
  side: 'origin' | 'cachestore',
  path: string,
  upstream: Upstream | undefined,
  holds: Pick<Reference, 'keys' | 'oneOf'>,
): Reference[] {
  const found: Reference[] = [];
  if (upstream?.credentialsSecretRef !== undefined)
    found.push({
      field: `${path}.credentialsSecretRef`,
      kind: 'Secret',
      name: upstream.credentialsSecretRef.name,
      ...holds,
      mount: { volume: `${side}-credentials`, path: `${MOUNT.credentials}/${side}` },
    });
  if (upstream?.caBundleRef !== undefined)
    found.push({
      field: `${path}.caBundleRef`,
      kind: 'ConfigMap',
      name: upstream.caBundleRef.name,
      keys: CA_KEYS,
      mount: { volume: `${side}-ca`, path: `${MOUNT.ca}/${side}` },
    });
  return found;
}

function ofEdge({ auth, tls }: OrcaCache['spec']['edge']): Reference[] {
  const found: Reference[] = [];
  if (auth.secretRef !== undefined)
    found.push({
      field: 'spec.edge.auth.secretRef',
      kind: 'Secret',
      name: auth.secretRef.name,
      keys: ['keys.yaml'],
      mount: { volume: 'edge-keys', path: `${MOUNT.credentials}/edge` },
    });
  if (tls !== undefined)
    found.push({
      field: 'spec.edge.tls.secretName',
      kind: 'Secret',
      name: tls.secretName,
      keys: ['tls.crt', 'tls.key'],
      mount: { volume: 'edge-tls', path: MOUNT.edgeTls },
    });
  return found;
}

function ofEnvironment(cache: OrcaCache): Reference[] {
  const found: Reference[] = [];
  for (const { name, valueFrom } of cache.spec.pod.env ?? []) {
    const { secretKeyRef, configMapKeyRef } = valueFrom ?? {};
    const field = `spec.pod.env[${name}].valueFrom`;
    if (secretKeyRef !== undefined)
      found.push({ field, kind: 'Secret', name: secretKeyRef.name, keys: [secretKeyRef.key] });
    if (configMapKeyRef !== undefined)
      found.push({ field, kind: 'ConfigMap', name: configMapKeyRef.name, keys: [configMapKeyRef.key] });
  }
  return found;
}
