/** Writes the changed fields of the status in one patch. */
import { isDeepStrictEqual } from 'node:util';
import { API_VERSION, FIELD_MANAGER, PLURAL } from '#crds/names.ts';
import { collectionPath } from '#operator/api/manifest.ts';
import { PATCH } from '#shared/kube/client.ts';
import type { Api } from './api.ts';

export function cachePath(namespace: string, name: string): string {
  return `${collectionPath(API_VERSION, PLURAL, namespace)}/${name}`;
}

interface Reported {
  readonly metadata: { readonly resourceVersion?: string };
  readonly status?: object;
}

/** Resolves with whether anything changed. An undefined field is removed. */
export async function patchStatus(
  api: Api,
  path: string,
  { metadata, status }: Reported,
  to: object,
): Promise<boolean> {
  const before: Readonly<Record<string, unknown>> = { ...status };
  const changed = Object.entries(to).filter(([key, value]) => !isDeepStrictEqual(before[key], value));
  if (changed.length === 0) return false;
  await api.write('PATCH', `${path}/status`, {
    contentType: PATCH.merge,
    query: { fieldManager: FIELD_MANAGER },
    // Optimistic lock: the status must not be written to a newer spec or to a recreated resource of the same name.
    body: {
      metadata: { resourceVersion: metadata.resourceVersion },
      status: Object.fromEntries(changed.map(([key, value]) => [key, replacing(before[key], value ?? null)])),
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
