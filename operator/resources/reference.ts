/**
 * The Secrets and ConfigMaps that a spec references, the keys that each must have, and its mount path: one list for the
 * volumes and for the validation before a rollout.
 */
import { referencesIn, type FoundReference } from '#crds/kinds/kind.ts';
import { ORIGIN_KINDS, STORE_KINDS } from '#crds/kinds/registry.ts';
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

export function references(cache: OrcaCache): Reference[] {
  return [
    ...upstreamReferences(cache).flatMap(({ reference, path, name, mount }) =>
      reference.kind === 'PersistentVolumeClaim' ? [] : [{ ...reference, field: path, name, mount }],
    ),
    ...edgeReferences(cache.spec.edge),
    ...environmentReferences(cache),
  ];
}

export interface Claim {
  readonly claimName: string;
  readonly mount: { readonly volume: string; readonly path: string };
}

/** The PersistentVolumeClaims. They are not validated: the scheduler reports a missing claim on the pod. */
export function claims(cache: OrcaCache): Claim[] {
  return upstreamReferences(cache).flatMap(({ reference, name, mount }) =>
    reference.kind === 'PersistentVolumeClaim' ? [{ claimName: name, mount }] : [],
  );
}

function upstreamReferences({ spec }: OrcaCache): FoundReference[] {
  return [
    ...referencesIn(ORIGIN_KINDS, spec.origin, 'origin'),
    ...referencesIn(STORE_KINDS, spec.cacheStore, 'cachestore'),
  ];
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
