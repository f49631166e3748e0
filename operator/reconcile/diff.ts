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

export interface Difference {
  /** Such as `spec.template.spec.containers.0.image`: numbers are places in the desired list. */
  readonly path: string;
  /** The live value; undefined if it is absent. */
  readonly live: Json;
}

/** The path of the first difference; undefined without a difference. */
export function diff(desired: Json, live: Json): string | undefined {
  const [first] = differences(desired, live);
  return first?.path;
}

export function* differences(desired: Json, live: Json, path: readonly string[] = []): Generator<Difference> {
  if (Array.isArray(desired)) yield* listDifferences(desired, live, path);
  else if (isObject(desired)) yield* objectDifferences(desired, live, path);
  else if (desired !== live) {
    const isQuantity = QUANTITY_PARENTS.has(path.at(-2) ?? '') || QUANTITY_FIELDS.has(path.at(-1) ?? '');
    if (!isQuantity || !sameQuantity(desired, live)) yield at(path, live);
  }
}

function* objectDifferences(desired: JsonObject, live: Json, path: readonly string[]): Generator<Difference> {
  // The API server may drop empty objects and lists.
  if (live === undefined && Object.keys(desired).length === 0) return;
  const isOther =
    !isObject(live) || (ATOMIC_MAPS.has(path.at(-1) ?? '') && Object.keys(live).length !== Object.keys(desired).length);
  if (isOther) return yield at(path, live);
  for (const [key, value] of Object.entries(desired)) yield* differences(value, live[key], [...path, key]);
}

function* listDifferences(desired: readonly Json[], live: Json, path: readonly string[]): Generator<Difference> {
  if (live === undefined && desired.length === 0) return;
  if (!Array.isArray(live)) return yield at(path, live);
  const keys = LIST_KEYS[path.at(-1) ?? ''];
  if (keys === undefined || !desired.every(isObject)) {
    if (live.length !== desired.length) return yield at(path, live);
    for (const [index, item] of desired.entries()) yield* differences(item, live[index], [...path, String(index)]);
    return;
  }
  for (const [index, item] of desired.entries()) {
    // A key without a value, such as a protocol, gets its default from the API server.
    const twin = live.find(
      (candidate) =>
        isObject(candidate) && keys.every((key) => item[key] === undefined || item[key] === candidate[key]),
    );
    yield* differences(item, twin, [...path, String(index)]);
  }
}

function at(path: readonly string[], live: Json): Difference {
  return { path: path.join('.'), live };
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sameQuantity(left: Json, right: Json): boolean {
  const leftValue = parseResource(left);
  return leftValue !== undefined && leftValue === parseResource(right);
}
