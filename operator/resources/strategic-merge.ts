/**
 * Merges a partial pod into a whole one by the rules of strategic merge patches: objects are merged, lists of named items
 * by their key, other lists are replaced. Nothing is removed. Source: the `patchMergeKey` tags of k8s.io/api/core/v1.
 */

type Json = unknown;
export type JsonObject = Readonly<Record<string, Json>>;

const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  env: 'name',
  ports: 'containerPort',
  volumeMounts: 'mountPath',
  volumeDevices: 'devicePath',
  volumes: 'name',
  imagePullSecrets: 'name',
  hostAliases: 'ip',
  resourceClaims: 'name',
  schedulingGates: 'name',
  topologySpreadConstraints: 'topologyKey',
};

/** Returns a new object. It is of the base's type only if the patch is a part of such an object. */
export function strategicMerge<T extends object>(base: T, patch: object): T {
  const merged = Object.fromEntries(Object.entries(base)) as Record<string, Json>;
  for (const [name, value] of Object.entries(patch)) merged[name] = mergeValue(name, merged[name], value);
  return merged as T;
}

export function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function mergeValue(name: string, base: Json, patch: Json): Json {
  if (isObject(base) && isObject(patch)) return strategicMerge(base, patch);
  const key = MERGE_KEYS[name];
  if (key === undefined || !Array.isArray(base) || !Array.isArray(patch)) return patch;
  return mergeList(base, patch, key);
}

/** Items of the base keep their places; new ones follow. */
function mergeList(base: readonly Json[], patch: readonly Json[], key: string): readonly Json[] {
  const keyOf = (item: Json): Json => (isObject(item) ? item[key] : undefined);
  const merged = [...base];
  for (const item of patch) {
    const at = merged.findIndex((other) => keyOf(other) === keyOf(item));
    const other = merged[at];
    if (isObject(other) && isObject(item)) merged[at] = strategicMerge(other, item);
    else merged.push(item);
  }
  return merged;
}
