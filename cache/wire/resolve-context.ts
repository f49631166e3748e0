/** What a driver needs to resolve its section of the config file, besides the section itself. */
import type { Env } from '#cache/wire/http1/proxy.ts';
import type { Problem } from '#crds/validate.ts';

export interface ResolveContext {
  /** The path of the section in the config file, such as `origin`, `s3`. */
  readonly path: readonly string[];
  readonly env: Env;
  /** Appended to; the settings are valid only if nothing was appended. */
  readonly problems: Problem[];
}

/** The environment variable for a setting of this section, such as `ORCA_ORIGIN_ACCOUNT_KEY`. */
export function variableName({ path }: ResolveContext, setting: string): string {
  return `ORCA_${(path[0] ?? '').toUpperCase()}_${setting}`;
}

export function isSet({ env }: ResolveContext, name: string): boolean {
  return env[name] !== undefined && env[name] !== '';
}
