/** Every kind of origin by its `type`. It does not compile without a driver for each kind in `crds/kinds/registry.ts`. */
import type { ResolveContext } from '#cache/wire/resolve-context.ts';
import type { OriginType } from '#crds/kinds/registry.ts';
import { azureBlob } from './azure-blob/kind.ts';
import { http } from './http/kind.ts';
import type { OriginKind } from './kind.ts';
import { s3 } from './s3/kind.ts';

const ORIGINS = { S3: s3, AzureBlob: azureBlob, HTTP: http } as const satisfies {
  readonly [T in OriginType]: { readonly schema: { readonly type: T } };
};

type Origins = typeof ORIGINS;

/** The resolved settings by member. Exactly the one of the configured `type` is present. */
export type OriginSettings = {
  readonly [T in OriginType as Origins[T]['schema']['member']]?: ReturnType<Origins[T]['resolve']>;
};

export function originKindOf(type: OriginType): OriginKind {
  return ORIGINS[type];
}

/** Resolves the members of `section`, the `origin` of the config file. */
export function resolveOriginSettings(
  section: Readonly<Record<string, unknown>>,
  context: Omit<ResolveContext, 'path'>,
): OriginSettings {
  const settings: Record<string, object> = {};
  for (const kind of Object.values<OriginKind>(ORIGINS)) {
    const fields = section[kind.schema.member];
    if (fields === undefined) continue;
    settings[kind.schema.member] = kind.resolve(fields, { ...context, path: ['origin', kind.schema.member] });
  }
  return settings;
}
