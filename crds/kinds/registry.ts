/**
 * Every kind of origin and cachestore: the one list per role from which the CRD, its rules and types, the pod's config
 * file, the references and the documentation follow. `cache/origins/registry.ts` and `cache/stores/registry.ts` map each
 * kind to its driver.
 */
import { unionMember } from '#crds/schema/field-builders.ts';
import type { Infer, Rule, Schema } from '#crds/schema/json-schema.ts';
import { azureBlobOrigin, azureBlobStore } from './azure-blob.ts';
import { filesystemStore } from './filesystem.ts';
import { httpOrigin } from './http.ts';
import type { UpstreamKind } from './kind.ts';
import { s3Origin, s3Store } from './s3.ts';

export const ORIGIN_KINDS = [s3Origin, azureBlobOrigin, httpOrigin] as const;
export const STORE_KINDS = [s3Store, azureBlobStore, filesystemStore] as const;

export type OriginType = (typeof ORIGIN_KINDS)[number]['type'];
export type StoreType = (typeof STORE_KINDS)[number]['type'];

/** The fields of a kind in the pod's config file. */
export type PodFields<K extends UpstreamKind> = Infer<K['podFile']>;

type Kinds = readonly UpstreamKind[];

/** The values of `type`, in the order of the list. */
export function typesOf<const K extends Kinds>(kinds: K): { readonly [I in keyof K]: K[I]['type'] } {
  return kinds.map(({ type }) => type) as { readonly [I in keyof K]: K[I]['type'] };
}

/** The members of the union, in the resource or in the pod's config file. */
export function membersOf<const K extends Kinds, F extends 'spec' | 'podFile'>(
  kinds: K,
  form: F,
): { readonly [E in K[number] as E['member']]: E[F] } {
  const members: Record<string, Schema> = {};
  for (const kind of kinds) members[kind.member] = kind[form];
  return members as { readonly [E in K[number] as E['member']]: E[F] };
}

/** Exactly the member of the given `type` is set, and the rules of each kind hold. */
export function rulesOf(kinds: Kinds): readonly Rule[] {
  return [...kinds.map(({ type, member }) => unionMember(type, member)), ...kinds.flatMap(({ rules = [] }) => rules)];
}
