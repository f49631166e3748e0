/**
 * The Secrets and ConfigMaps that a spec references, the keys that each must have, and its mount path: one list for the
 * volumes and for the validation before a rollout.
 */
import { MOUNT } from '#crds/names.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';

export interface Reference {
  /** The field of the spec that references it, for messages. */
  readonly field: string;
  readonly kind: 'Secret' | 'ConfigMap';
  readonly name: string;
  /** All of these keys are required. */
  readonly keys: readonly string[];
  /** Exactly one of these keys is required, too. */
  readonly oneOf?: readonly string[];
  /** Absent for environment variables. */
  readonly mount?: { readonly volume: string; readonly path: string };
}

const S3_KEYS = ['access-key-id', 'secret-access-key'];
const AZURE_KEYS = ['account-key', 'sas-token'];
const CA_KEYS = ['ca.crt'];

export function references(cache: OrcaCache): Reference[] {
  const { origin, cacheStore, edge } = cache.spec;
  return [
    ...upstreamReferences('origin', 'spec.origin.s3', origin.s3, { keys: S3_KEYS }),
    ...upstreamReferences('origin', 'spec.origin.azureBlob', origin.azureBlob, { keys: [], oneOf: AZURE_KEYS }),
    ...upstreamReferences('cachestore', 'spec.cacheStore.s3', cacheStore.s3, { keys: S3_KEYS }),
    ...upstreamReferences('cachestore', 'spec.cacheStore.azureBlob', cacheStore.azureBlob, {
      keys: [],
      oneOf: AZURE_KEYS,
    }),
    ...edgeReferences(edge),
    ...environmentReferences(cache),
  ];
}

interface Upstream {
  readonly credentialsSecretRef?: { readonly name: string };
  readonly caBundleRef?: { readonly name: string };
}

function upstreamReferences(
  name: 'origin' | 'cachestore',
  path: string,
  upstream: Upstream | undefined,
  required: Pick<Reference, 'keys' | 'oneOf'>,
): Reference[] {
  const found: Reference[] = [];
  if (upstream?.credentialsSecretRef !== undefined)
    found.push({
      field: `${path}.credentialsSecretRef`,
      kind: 'Secret',
      name: upstream.credentialsSecretRef.name,
      ...required,
      mount: { volume: `${name}-credentials`, path: `${MOUNT.credentials}/${name}` },
    });
  if (upstream?.caBundleRef !== undefined)
    found.push({
      field: `${path}.caBundleRef`,
      kind: 'ConfigMap',
      name: upstream.caBundleRef.name,
      keys: CA_KEYS,
      mount: { volume: `${name}-ca`, path: `${MOUNT.ca}/${name}` },
    });
  return found;
}

function edgeReferences({ auth, tls }: OrcaCache['spec']['edge']): Reference[] {
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

function environmentReferences(cache: OrcaCache): Reference[] {
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
