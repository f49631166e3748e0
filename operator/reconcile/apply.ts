/**
 * Applies one child: creates it if absent, applies it if it differs, and leaves it alone if it matches or is not ours.
 */
import { FIELD_MANAGER } from '#crds/names.ts';
import { childCollectionPath, childPath, type Live, type Manifest } from '#operator/api/manifest.ts';
import type { Child } from '#operator/resources/list.ts';
import { PATCH } from '#shared/kube/client.ts';
import { hasStatus } from '#shared/kube/error.ts';
import type { Api } from './api.ts';
import { diff } from './diff.ts';
import { APPLIED, claimOn, digest, ownershipPatch, withDigest, type Owner } from './ownership.ts';
import type { UnacceptedFields } from './unaccepted-fields.ts';

export type Applied =
  | { readonly kind: 'unchanged' | 'created' | 'changed'; readonly live: Live }
  /** Another object has the name. `transient`: it is being deleted, or belonged to a deleted resource of the same name. */
  | { readonly kind: 'conflict'; readonly transient: boolean };

/** `live` is the listed object, if any. */
export async function apply(
  api: Api,
  owner: Owner,
  child: Child,
  live: Live | undefined,
  unaccepted: UnacceptedFields,
): Promise<Applied> {
  // Children that are written once are Secrets, which are not listed.
  const found = child.write === 'once' ? await api.find<Live>(pathOf(child.manifest)) : live;
  if (found !== undefined) return applyTo(api, owner, child, found, unaccepted);
  const created = await create(api, child);
  if (created === undefined)
    return applyTo(api, owner, child, await api.read<Live>(pathOf(child.manifest)), unaccepted);
  return { kind: 'created', live: child.write === 'once' ? created : await ownFields(api, child.manifest, created) };
}

/** Whether applying would change nothing. */
export function isAsDesired(manifest: Manifest, live: Live, unaccepted: Pick<UnacceptedFields, 'areTheOnly'>): boolean {
  return (
    live.metadata.annotations?.[APPLIED] === digest(manifest) &&
    unaccepted.areTheOnly(manifest, live) &&
    ownershipPatch(live) === undefined
  );
}

async function applyTo(
  api: Api,
  owner: Owner,
  { manifest, write }: Child,
  live: Live,
  unaccepted: UnacceptedFields,
): Promise<Applied> {
  const claim = claimOn(live, owner);
  if (claim === 'foreign') return { kind: 'conflict', transient: false };
  if (claim === 'predecessor' || live.metadata.deletionTimestamp !== undefined)
    return { kind: 'conflict', transient: true };
  if (write === 'once' || isAsDesired(manifest, live, unaccepted)) return { kind: 'unchanged', live };
  const owned = await ownFields(api, manifest, live);
  if (isAsDesired(manifest, owned, unaccepted)) return { kind: 'changed', live: owned };
  api.log.info('applying changed child', {
    kind: manifest.kind,
    child: manifest.metadata.name,
    difference: diff(manifest, owned) ?? 'removed fields',
  });
  const applied = await serverSideApply(api, manifest, owned);
  unaccepted.applied(manifest, applied);
  return { kind: 'changed', live: applied };
}

/** The created object; undefined if an object with that name already exists. */
async function create(api: Api, { manifest }: Child): Promise<Live | undefined> {
  const { kind, metadata } = manifest;
  try {
    const live = await api.write<Live>('POST', childCollectionPath(kind, metadata.namespace), {
      query: { fieldManager: FIELD_MANAGER },
      body: withDigest(manifest),
    });
    api.log.info('created child', { kind, child: metadata.name });
    return live;
  } catch (error) {
    if (hasStatus(error, 409) && error.reason === 'AlreadyExists') return undefined;
    throw error;
  }
}

function pathOf({ kind, metadata }: Manifest): string {
  return childPath(kind, metadata.namespace, metadata.name);
}

async function ownFields(api: Api, manifest: Manifest, live: Live): Promise<Live> {
  const patch = ownershipPatch(live);
  if (patch === undefined) return live;
  return api.write<Live>('PATCH', pathOf(manifest), {
    contentType: PATCH.json,
    query: { fieldManager: FIELD_MANAGER },
    body: patch,
  });
}

/** Sends the uid as a precondition: if the object was deleted meanwhile, the apply must not create a new one. */
async function serverSideApply(api: Api, manifest: Manifest, live: Live): Promise<Live> {
  const body = withDigest(manifest);
  return api.write<Live>('PATCH', pathOf(manifest), {
    contentType: PATCH.apply,
    query: { fieldManager: FIELD_MANAGER, force: true },
    body: { ...body, metadata: { ...body.metadata, uid: live.metadata.uid } },
  });
}
