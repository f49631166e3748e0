/** The driver side of one kind of origin. Its schema and references are in `crds/kinds/`. */
import type { Origin } from '#cache/engine/ports.ts';
import type { Env } from '#cache/wire/http1/proxy.ts';
import type { ResolveContext } from '#cache/wire/resolve-context.ts';
import type { UpstreamKind } from '#crds/kinds/kind.ts';
import type { PodFields } from '#crds/kinds/registry.ts';

/** Methods, not function-typed members: the registry handles kinds of different settings as one type. */
export interface OriginKind<S extends UpstreamKind = UpstreamKind, Settings extends object = object> {
  readonly schema: S;
  /** Converts the fields of the config file to settings: plain data without a secret. */
  resolve(fields: PodFields<S>, context: ResolveContext): Settings;
  /** Identifies the origin, the same on every replica: endpoint host and account. */
  fingerprint(settings: Settings): string;
  /** `env` names the HTTP proxies. */
  open(settings: Settings, env: Env): Origin;
}

/** Infers the types of a kind. */
export function originKind<S extends UpstreamKind, Settings extends object>(
  kind: OriginKind<S, Settings>,
): OriginKind<S, Settings> {
  return kind;
}
