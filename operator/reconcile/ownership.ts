/**
 * Ownership of objects and of their fields. Pure.
 *
 * A child is created by POST, so that an existing object of another owner is never taken over. Its fields are then
 * owned by an `Update` entry, and a later apply could not remove fields. So that entry is converted to `Apply`, as
 * `kubectl` does when a user switches to server-side apply.
 */
import { createHash } from 'node:crypto';
import { FIELD_MANAGER, GROUP } from '#crds/names.ts';
import { controllerOf, type Live, type Manifest } from '#operator/api/manifest.ts';
import type { ManagedFieldsEntry } from '#shared/kube/types.ts';

/** Annotation on every child: the digest of the last applied manifest. */
export const APPLIED = `${GROUP}/applied`;
/** 64 bits are enough: a digest is only compared with the previous one of the same object. */
const DIGEST_LENGTH = 16;

export type Claim = 'ours' | 'predecessor' | 'foreign';

/** The resource that the operator reconciles: a cache or a prewarm. */
export interface Owner {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string };
}

/** `predecessor`: it belonged to a deleted resource of the same name and is not garbage-collected yet. */
export function claimOn(live: Live, { kind, metadata }: Owner): Claim {
  const controller = controllerOf(live);
  if (controller?.uid === metadata.uid) return 'ours';
  return controller?.kind === kind && controller.name === metadata.name ? 'predecessor' : 'foreign';
}

/** Digest of the sent manifest. It reveals a removed field, which a comparison with the live object cannot. */
export function digest(manifest: Manifest): string {
  return createHash('sha256').update(JSON.stringify(manifest)).digest('hex').slice(0, DIGEST_LENGTH);
}

/** The manifest with its own digest as an annotation, as it is sent. */
export function withDigest<M extends Manifest>(manifest: M): M {
  const annotations = { ...manifest.metadata.annotations, [APPLIED]: digest(manifest) };
  return { ...manifest, metadata: { ...manifest.metadata, annotations } };
}

/** The JSON Patch that converts our `Update` entries to `Apply`; undefined without such entries. */
export function ownershipPatch(live: Live): readonly object[] | undefined {
  const entries = live.metadata.managedFields ?? [];
  const ours = entries.filter((entry) => entry.manager === FIELD_MANAGER && entry.subresource === undefined);
  const updates = ours.filter((entry) => entry.operation === 'Update');
  const [first] = updates;
  if (first === undefined) return undefined;
  const applied: ManagedFieldsEntry = {
    ...first,
    operation: 'Apply',
    fieldsV1: ours.map((entry) => entry.fieldsV1 ?? {}).reduce(union),
  };
  return [
    {
      op: 'replace',
      path: '/metadata/managedFields',
      value: [...entries.filter((entry) => !ours.includes(entry)), applied],
    },
    // Fails with a conflict if the object has changed: the entries above would then be outdated.
    { op: 'replace', path: '/metadata/resourceVersion', value: live.metadata.resourceVersion },
  ];
}

type Fields = Readonly<Record<string, unknown>>;

/** Merges two field sets, which are trees with empty objects as leaves. */
function union(left: Fields, right: Fields): Fields {
  const merged: Record<string, unknown> = { ...left };
  for (const [key, value] of Object.entries(right))
    merged[key] = key in merged ? union(merged[key] as Fields, value as Fields) : value;
  return merged;
}
