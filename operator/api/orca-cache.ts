/** An OrcaCache as the operator meets it: read from the API server, so defaults are applied and identity is known. */
import type { OrcaCache as Described } from '#crds/types.ts';

export type { Condition, OrcaCacheSpec, OrcaCacheStatus } from '#crds/types.ts';

export interface OrcaCache extends Described {
  readonly metadata: Described['metadata'] & { readonly uid: string; readonly generation: number };
}
