/** Writes the changed fields of the status in one patch. */
import { isDeepStrictEqual } from 'node:util';
import { API_VERSION, FIELD_MANAGER, PLURAL } from '#crds/names.ts';
import { collectionPath } from '#operator/api/manifest.ts';
import type { OrcaCache, OrcaCacheStatus } from '#operator/api/orca-cache.ts';
import { PATCH } from '#shared/kube/client.ts';
import type { Api } from './api.ts';

export function cachePath(namespace: string, name: string): string {
  return `${collectionPath(API_VERSION, PLURAL, namespace)}/${name}`;
}

/** Resolves with whether anything changed. */
export async function patchStatus(api: Api, cache: OrcaCache, status: OrcaCacheStatus): Promise<boolean> {
  const before: Readonly<Record<string, unknown>> = { ...cache.status };
  const changed = Object.entries(status).filter(([key, value]) => !isDeepStrictEqual(before[key], value));
  if (changed.length === 0) return false;
  const { namespace, name, resourceVersion } = cache.metadata;
  await api.write('PATCH', `${cachePath(namespace, name)}/status`, {
    contentType: PATCH.merge,
    query: { fieldManager: FIELD_MANAGER },
    // Optimistic lock: the status must not be written to a newer spec or to a recreated cache of the same name.
    body: {
      metadata: { resourceVersion },
      status: Object.fromEntries(changed.map(([key, value]) => [key, replacing(before[key], value)])),
    },
  });
  return true;
}

/** A merge patch adds the members of an object to those that are there; null removes one. */
function replacing(before: unknown, value: unknown): unknown {
  if (!isObject(before) || !isObject(value)) return value;
  const removed = Object.keys(before).filter((key) => !Object.hasOwn(value, key));
  return { ...value, ...Object.fromEntries(removed.map((key) => [key, null])) };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
