/** The targets of a run. */
import type { PrewarmRun, TargetSpec } from '#cache/prewarm/resource.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { keysTarget } from './keys.ts';
import { manifestTarget, type ReadObject } from './manifest.ts';
import { prefixTarget, type ListKeys } from './prefix.ts';
import type { Target } from './target.ts';

export interface TargetSources {
  readonly list: ListKeys;
  readonly read: ReadObject;
  readonly client: Pick<KubeClient, 'request'>;
  /** Where the ConfigMaps are. */
  readonly namespace: string;
}

/** Throws `invalid_argument` for a target that cannot be used. */
export function openTarget(spec: TargetSpec, { list, read, client, namespace }: TargetSources): Target {
  switch (spec.kind) {
    case 'prefix':
      return prefixTarget(spec, list);
    case 'manifest':
      return manifestTarget(spec, read);
    case 'keys':
      return keysTarget(spec, client, namespace);
  }
}

export function titleOf(spec: PrewarmRun['targets'][number]): string {
  if (spec.kind === 'prefix') return `s3://${spec.bucket}/${spec.prefix}`;
  if (spec.kind === 'manifest') return `s3://${spec.manifest.bucket}/${spec.manifest.key}`;
  return `ConfigMap ${spec.configMap.name}`;
}
