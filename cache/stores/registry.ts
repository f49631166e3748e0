/** Every kind of cachestore by its `type`. It does not compile without a driver for each kind in `crds/kinds/registry.ts`. */
import type { ResolveContext } from '#cache/wire/resolve-context.ts';
import type { StoreType } from '#crds/kinds/registry.ts';
import { azureBlob } from './azure-blob/kind.ts';
import { filesystem } from './filesystem/kind.ts';
import type { StoreKind } from './kind.ts';
import { s3 } from './s3/kind.ts';

const STORES = { S3: s3, AzureBlob: azureBlob, Filesystem: filesystem } as const satisfies {
  readonly [T in StoreType]: { readonly schema: { readonly type: T } };
};

type Stores = typeof STORES;

/** The resolved settings by member. Exactly the one of the configured `type` is present. */
export type StoreSettings = {
  readonly [T in StoreType as Stores[T]['schema']['member']]?: ReturnType<Stores[T]['resolve']>;
};

export function storeKindOf(type: StoreType): StoreKind {
  return STORES[type];
}

/** Resolves the members of `section`, the `cacheStore` of the config file. */
export function resolveStoreSettings(
  section: Readonly<Record<string, unknown>>,
  context: Omit<ResolveContext, 'path'>,
): StoreSettings {
  const settings: Record<string, object> = {};
  for (const kind of Object.values<StoreKind>(STORES)) {
    const fields = section[kind.schema.member];
    if (fields === undefined) continue;
    settings[kind.schema.member] = kind.resolve(fields, { ...context, path: ['cacheStore', kind.schema.member] });
  }
  return settings;
}
