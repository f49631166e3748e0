/** An OrcaCache as read from the API server: defaults are applied, and `uid` and `generation` are set. */
import type { OrcaCache as OrcaCacheManifest } from '#crds/types.ts';

export type { Condition, OrcaCacheSpec, OrcaCacheStatus } from '#crds/types.ts';

export interface OrcaCache extends OrcaCacheManifest {
  readonly metadata: OrcaCacheManifest['metadata'] & { readonly uid: string; readonly generation: number };
}
