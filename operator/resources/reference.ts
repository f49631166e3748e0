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
  readonly keys: readonly string[];
  /** Where it is mounted; absent for environment variables. */
  readonly mount?: { readonly volume: string; readonly path: string };
}

const S3_KEYS = ['access-key-id', 'secret-access-key'];
const CA_KEYS = ['ca.crt'];

export function references(cache: OrcaCache): Reference[] {
  const { origin, cacheStore, edge } = cache.spec;
  return [
    ...ofS3('origin', 'spec.origin.s3', origin.s3),
    ...ofS3('cachestore', 'spec.cacheStore.s3', cacheStore.s3),
    ...ofEdge(edge),
    ...ofEnvironment(cache),
  ];
}

function ofS3(side: 'origin' | 'cachestore', path: string, s3: OrcaCache['spec']['origin']['s3']): Reference[] {
  const found: Reference[] = [];
  if (s3?.credentialsSecretRef !== undefined)
    found.push({
      field: `${path}.credentialsSecretRef`,
      kind: 'Secret',
      name: s3.credentialsSecretRef.name,
      keys: S3_KEYS,
      mount: { volume: `${side}-credentials`, path: `${MOUNT.credentials}/${side}` },
    });
  if (s3?.caBundleRef !== undefined)
    found.push({
      field: `${path}.caBundleRef`,
      kind: 'ConfigMap',
      name: s3.caBundleRef.name,
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
