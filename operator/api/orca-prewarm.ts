/** An OrcaPrewarm as read from the API server: defaults are applied, and `uid` and `generation` are set. */
import type { OrcaPrewarm as OrcaPrewarmManifest } from '#crds/types.ts';

export type { OrcaPrewarmSpec, OrcaPrewarmStatus } from '#crds/types.ts';

export interface OrcaPrewarm extends OrcaPrewarmManifest {
  readonly metadata: OrcaPrewarmManifest['metadata'] & {
    readonly uid: string;
    readonly generation: number;
    readonly resourceVersion: string;
    readonly creationTimestamp: string;
  };
}
