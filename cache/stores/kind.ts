/** The driver side of one kind of cachestore. Its schema and references are in `crds/kinds/`. */
import type { ProbedStore } from '#cache/engine/ports.ts';
import type { Env } from '#cache/wire/http1/proxy.ts';
import type { ResolveContext } from '#cache/wire/resolve-context.ts';
import type { UpstreamKind } from '#crds/kinds/kind.ts';
import type { PodFields } from '#crds/kinds/registry.ts';

/** Methods, not function-typed members: the registry handles kinds of different settings as one type. */
export interface StoreKind<S extends UpstreamKind = UpstreamKind, Settings extends object = object> {
  readonly schema: S;
  /** Converts the fields of the config file to settings: plain data without a secret. */
  resolve(fields: PodFields<S>, context: ResolveContext): Settings;
  /** `env` names the HTTP proxies. */
  open(settings: Settings, env: Env): ProbedStore;
}

/** Infers the types of a kind. */
export function storeKind<S extends UpstreamKind, Settings extends object>(
  kind: StoreKind<S, Settings>,
): StoreKind<S, Settings> {
  return kind;
}
