/** The file that running pods reload: settings that need no restart, and the hashes of proven configurations. */
import { stringify } from 'yaml';
import { MOUNT } from '#crds/names.ts';
import { runtimeConfig } from '#crds/pod-config.ts';
import type { Body, ConfigMap } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { fileName } from './config-map.ts';
import type { BuildContext } from './context.ts';
import { childMetadata, childName } from './labels.ts';

export const RUNTIME_KEY = fileName(MOUNT.runtime);

export function runtimeConfigMap(cache: OrcaCache, { provenConfigs }: BuildContext) {
  const content = { ...runtimeConfig(cache), provenConfigs };
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: childMetadata(cache, childName.runtimeConfig(cache)),
    data: { [RUNTIME_KEY]: stringify(content) },
  } satisfies Manifest & Body<ConfigMap>;
}
