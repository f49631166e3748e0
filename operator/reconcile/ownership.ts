/**
 * Whose an object is, and which of its fields are ours. Pure.
 *
 * A child is made by POST, so that an object of the same name that somebody else made is never taken over; that leaves
 * our fields owned by an `Update`, and fields that a later apply drops would stay for ever. So the entry is turned into
 * an `Apply`, as `kubectl` does when a user changes to server-side apply.
 */
import { createHash } from 'node:crypto';
import { FIELD_MANAGER, GROUP, KIND } from '#crds/names.ts';
import { controllerOf, type Live, type Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { ManagedFieldsEntry } from '#shared/kube/types.ts';

/** On every child: the digest of the manifest that was applied last. */
export const APPLIED = `${GROUP}/applied`;
/** 64 bits: compared only with the one before it on the same object. */
const DIGEST_LENGTH = 16;

export type Claim = 'ours' | 'predecessor' | 'foreign';

/** `predecessor`: it belonged to a deleted cache of the same name, and garbage collection has not come by yet. */
export function claimOn(live: Live, cache: OrcaCache): Claim {
  const owner = controllerOf(live);
  if (owner?.uid === cache.metadata.uid) return 'ours';
  return owner?.kind === KIND && owner.name === cache.metadata.name ? 'predecessor' : 'foreign';
}

/** Digest of what we send: tells an apply that dropped a field from one that changed nothing. */
export function digest(manifest: Manifest): string {
  return createHash('sha256').update(JSON.stringify(manifest)).digest('hex').slice(0, DIGEST_LENGTH);
}

/** The manifest as it is sent, carrying its own digest. */
export function sealed<M extends Manifest>(manifest: M): M {
  const annotations = { ...manifest.metadata.annotations, [APPLIED]: digest(manifest) };
  return { ...manifest, metadata: { ...manifest.metadata, annotations } };
}

/** The JSON Patch that turns our `Update` entry into `Apply`; undefined when there is none. */
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
    // Refused when anything changed since we read it: the entries above would then be old.
    { op: 'replace', path: '/metadata/resourceVersion', value: live.metadata.resourceVersion },
  ];
}

type Fields = Readonly<Record<string, unknown>>;

/** Field sets are trees whose leaves are empty objects. */
function union(left: Fields, right: Fields): Fields {
  const merged: Record<string, unknown> = { ...left };
  for (const [key, value] of Object.entries(right))
    merged[key] = key in merged ? union(merged[key] as Fields, value as Fields) : value;
  return merged;
}
