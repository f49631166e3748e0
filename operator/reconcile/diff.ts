/**
 * Compares a live object with the desired one in the fields that the operator sends: the API server adds defaults, and
 * other managers own other fields. Follows the merge rules of server-side apply, so it finds a difference exactly where
 * an apply would change the object. Pure.
 */
import { parseResource } from '#crds/quantity.ts';

type Json = unknown;
type JsonObject = Readonly<Record<string, Json>>;

/** The merge keys of lists, as in server-side apply. Lists without an entry are atomic. */
const LIST_KEYS: Readonly<Record<string, readonly string[]>> = {
  containers: ['name'],
  env: ['name'],
  hostAliases: ['ip'],
  imagePullSecrets: ['name'],
  initContainers: ['name'],
  ownerReferences: ['uid'],
  ports: ['containerPort', 'port', 'protocol'],
  resourceClaims: ['name'],
  schedulingGates: ['name'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
  volumeDevices: ['devicePath'],
  volumeMounts: ['mountPath'],
  volumes: ['name'],
};

/** Maps that server-side apply treats as atomic: an additional label makes a different selector. */
const ATOMIC_MAPS = new Set(['selector', 'matchLabels', 'nodeSelector']);

/** Below these fields the API server may store quantities in another notation (`1024Mi`, `1Gi`). */
const QUANTITY_PARENTS = new Set(['requests', 'limits']);
const QUANTITY_FIELDS = new Set(['sizeLimit']);

/** The path of the first difference; undefined without a difference. */
export function diff(desired: Json, live: Json, path: readonly string[] = []): string | undefined {
  if (Array.isArray(desired)) return diffList(desired, live, path);
  if (isObject(desired)) return diffObject(desired, live, path);
  if (desired === live) return undefined;
  const isQuantity = QUANTITY_PARENTS.has(path.at(-2) ?? '') || QUANTITY_FIELDS.has(path.at(-1) ?? '');
  if (isQuantity && sameQuantity(desired, live)) return undefined;
  return path.join('.');
}

function diffObject(desired: JsonObject, live: Json, path: readonly string[]): string | undefined {
  // The API server may drop empty objects and lists.
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

function diffList(desired: readonly Json[], live: Json, path: readonly string[]): string | undefined {
  if (live === undefined && desired.length === 0) return undefined;
  if (!Array.isArray(live)) return path.join('.');
  const keys = LIST_KEYS[path.at(-1) ?? ''];
  if (keys === undefined || !desired.every(isObject)) {
    if (live.length !== desired.length) return path.join('.');
    return firstDefined(desired, (item, index) => diff(item, live[index], [...path, String(index)]));
  }
  return firstDefined(desired, (item, index) => {
    // A key without a value, such as a protocol, gets its default from the API server.
    const twin = live.find(
      (candidate) =>
        isObject(candidate) && keys.every((key) => item[key] === undefined || item[key] === candidate[key]),
    );
    return diff(item, twin, [...path, String(index)]);
  });
}

function firstDefined<T>(
  items: readonly T[],
  look: (item: T, index: number) => string | undefined,
): string | undefined {
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
