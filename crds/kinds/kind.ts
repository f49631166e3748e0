/**
 * What the operator and the pods must both know about one kind of origin or cachestore: its schema, and the Secrets,
 * ConfigMaps and volumes that it references. Pure data. The driver is in `cache/origins/` or `cache/stores/`.
 */
import { MOUNT } from '#crds/names.ts';
import type { Rule, Schema } from '#crds/schema/json-schema.ts';

export interface UpstreamKind {
  /** The value of `type`. */
  readonly type: string;
  /** The member of `spec.origin` or `spec.cacheStore` that holds the fields of this kind. */
  readonly member: string;
  /** That member in the resource. */
  readonly spec: Schema;
  /** That member in the pod's config file: the same fields, with paths in place of references. */
  readonly podFile: Schema;
  readonly references: readonly KindReference[];
  /** Rules of `spec.origin` or `spec.cacheStore` that compare this member with others. */
  readonly rules?: readonly Rule[];
}

/** A member of the kind's spec that names another object, which the operator mounts into the pods. */
export type KindReference = SecretReference | CaBundleReference | ClaimReference;

interface SecretReference {
  readonly kind: 'Secret';
  readonly field: 'credentialsSecretRef';
  /** All of these keys are required. */
  readonly keys: readonly string[];
  /** Exactly one of these keys is required, too. */
  readonly oneOf?: readonly string[];
}

interface CaBundleReference {
  readonly kind: 'ConfigMap';
  readonly field: 'caBundleRef';
  readonly keys: readonly string[];
}

interface ClaimReference {
  readonly kind: 'PersistentVolumeClaim';
  readonly field: 'persistentVolumeClaim';
}

export const CA_BUNDLE = {
  kind: 'ConfigMap',
  field: 'caBundleRef',
  keys: ['ca.crt'],
} as const satisfies CaBundleReference;

export type Owner = 'origin' | 'cachestore';

export interface ReferenceMount {
  readonly volume: string;
  readonly path: string;
}

/** Where the operator mounts the referenced object. */
function mountOf({ kind }: KindReference, owner: Owner): ReferenceMount {
  switch (kind) {
    case 'Secret':
      return { volume: `${owner}-credentials`, path: `${MOUNT.credentials}/${owner}` };
    case 'ConfigMap':
      return { volume: `${owner}-ca`, path: `${MOUNT.ca}/${owner}` };
    case 'PersistentVolumeClaim':
      return { volume: owner, path: MOUNT.filesystemStore };
  }
}

/** What the pod's config file has in place of the reference. */
function podFieldsOf({ kind }: KindReference, { path }: ReferenceMount): Readonly<Record<string, unknown>> {
  switch (kind) {
    case 'Secret':
      return { credentials: { directory: path } };
    case 'ConfigMap':
      return { caFile: `${path}/ca.crt` };
    case 'PersistentVolumeClaim':
      return { path };
  }
}

export interface FoundReference {
  readonly reference: KindReference;
  /** The path of the field, for messages. */
  readonly path: string;
  /** The name of the referenced object. */
  readonly name: string;
  readonly mount: ReferenceMount;
}

/** A `spec.origin` or `spec.cacheStore`, as far as references matter. */
export type Upstream = Readonly<Record<string, unknown>>;

/** The references that are set in `upstream`. */
export function referencesIn(kinds: readonly UpstreamKind[], upstream: Upstream, owner: Owner): FoundReference[] {
  const section = owner === 'origin' ? 'spec.origin' : 'spec.cacheStore';
  return kinds.flatMap(({ member, references }) =>
    references.flatMap((reference) => {
      const fields = upstream[member] as Upstream | undefined;
      const value = fields?.[reference.field] as Readonly<Record<string, string>> | undefined;
      if (value === undefined) return [];
      const name = (reference.kind === 'PersistentVolumeClaim' ? value['claimName'] : value['name']) ?? '';
      const path = `${section}.${member}.${reference.field}`;
      return [{ reference, path, name, mount: mountOf(reference, owner) }];
    }),
  );
}

/** `upstream` as the pod's config file has it: every reference replaced by the path of its mount. */
export function withMountPaths(
  kinds: readonly UpstreamKind[],
  upstream: Upstream,
  owner: Owner,
): Record<string, unknown> {
  const result: Record<string, unknown> = { ...upstream };
  for (const { member, references } of kinds) {
    if (upstream[member] === undefined) continue;
    const fields = { ...(upstream[member] as Upstream) };
    for (const reference of references) {
      if (fields[reference.field] === undefined) continue;
      delete fields[reference.field];
      Object.assign(fields, podFieldsOf(reference, mountOf(reference, owner)));
    }
    result[member] = fields;
  }
  return result;
}
