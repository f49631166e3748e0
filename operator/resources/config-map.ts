/**
 * The pods' config file as an immutable ConfigMap, named by the hash of its content. A new configuration is a new
 * object, so the file never changes under a running pod, and a rollback finds the old file.
 */
import { MOUNT } from '#crds/names.ts';
import type { Body, ConfigMap } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { BuildContext } from './context.ts';
import { childMetadata, childName } from './labels.ts';

/** The ConfigMap key is the file name in the pod. */
export const CONFIG_KEY = fileName(MOUNT.config);

export function configMap(cache: OrcaCache, { config }: BuildContext) {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: childMetadata(cache, childName.config(cache, config.hash)),
    immutable: true,
    data: { [CONFIG_KEY]: config.yaml },
  } satisfies Manifest & Body<ConfigMap>;
}

export function fileName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function directory(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
