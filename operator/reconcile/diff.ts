/**
 * Whether a live object is what we want, looking only at the fields that we send: the API server adds defaults, and
 * other managers own fields of their own. Pure; follows the merge rules of server-side apply, so that what an apply
 * would leave alone is no diff. Returns the path of the first diff, for the log.
 */
import { parseResource } from '#crds/quantity.ts';

type Json = unknown;
type JsonObject = Readonly<Record<string, Json>>;

/** Fields by which server-side apply finds the items of a list again. Lists that are not here are replaced whole. */
const LIST_KEYS: Readonly<Record<string, readonly string[]>> = {
  containers: ['name'],
  env: ['name'],
  imagePullSecrets: ['name'],
  ownerReferences: ['uid'],
  ports: ['containerPort', 'port', 'protocol'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
  volumeMounts: ['mountPath'],
  volumes: ['name'],
};

/** Maps that server-side apply replaces whole: one more label in a selector is another selector. */
const ATOMIC_MAPS = new Set(['selector', 'matchLabels', 'nodeSelector']);

/** Below these the API server rewrites quantities in its own way (`1024Mi` becomes `1Gi`). */
const QUANTITY_PARENTS = new Set(['requests', 'limits']);

export function diff(desired: Json, live: Json, path: readonly string[] = []): string | undefined {
  if (Array.isArray(desired)) return listDifference(desired, live, path);
  if (isObject(desired)) return objectDifference(desired, live, path);
  if (desired === live) return undefined;
  const parent = path.at(-2);
  if (parent !== undefined && QUANTITY_PARENTS.has(parent) && sameQuantity(desired, live)) return undefined;
  return path.join('.');
}

function objectDifference(desired: JsonObject, live: Json, path: readonly string[]): string | undefined {
  // An empty object or list may be dropped by the API server on its way to storage.
  if (live === undefined && Object.keys(desired).length === 0) return undefined;
  if (!isObject(live)) return path.join('.');
  if (ATOMIC_MAPS.has(path.at(-1) ?? '') && Object.keys(live).length !== Object.keys(desired).length)
    return path.join('.');
  for (const [key, value] of Object.entries(desired)) {
    const found = diff(value, live[key], [...path, key]);
    if (found !== undefined) return found;
  }
  return undefined;
}

function listDifference(desired: readonly Json[], live: Json, path: readonly string[]): string | undefined {
  if (live === undefined && desired.length === 0) return undefined;
  if (!Array.isArray(live)) return path.join('.');
  const keys = LIST_KEYS[path.at(-1) ?? ''];
  if (keys === undefined || !desired.every(isObject)) {
    if (live.length !== desired.length) return path.join('.');
    return firstFound(desired, (item, index) => diff(item, live[index], [...path, String(index)]));
  }
  return firstFound(desired, (item, index) => {
    const twin = live.find((candidate) => isObject(candidate) && keys.every((key) => item[key] === candidate[key]));
    return diff(item, twin, [...path, String(index)]);
  });
}

function firstFound<T>(items: readonly T[], look: (item: T, index: number) => string | undefined): string | undefined {
  for (const [index, item] of items.entries()) {
    const found = look(item, index);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sameQuantity(left: Json, right: Json): boolean {
  const leftValue = parseResource(left);
  return leftValue !== undefined && leftValue === parseResource(right);
}
