/**
 * Server-side apply over plain JSON, without schemas: field ownership, removed fields, and conflicts between managers.
 * Lists with a key in the table below are merged by it; all others are atomic.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ManagedFieldsEntry } from '#shared/kube/types.ts';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** List-map keys by field name: the ones of core/v1 and apps/v1 that our manifests use. */
const LIST_KEYS: Readonly<Record<string, readonly string[]>> = {
  conditions: ['type'],
  containers: ['name'],
  env: ['name'],
  imagePullSecrets: ['name'],
  initContainers: ['name'],
  ownerReferences: ['uid'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
  volumeMounts: ['mountPath'],
  volumes: ['name'],
};
/** Fields without an owner. */
const UNOWNED = new Set(['apiVersion', 'kind', 'status']);
const UNOWNED_METADATA = new Set([
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'managedFields',
]);

/** The path of a leaf: field names and `k:{…}` list keys, joined. */
type FieldPath = string;
const SEPARATOR = '\u0000';

export class ApplyConflict extends Error {
  readonly manager: string;
  readonly fields: readonly string[];
  constructor(manager: string, fields: readonly string[]) {
    super(`Apply failed with ${fields.length} conflict: conflict with "${manager}": ${fields.join(', ')}`);
    this.manager = manager;
    this.fields = fields;
  }
}

export interface ApplyInput {
  readonly live: JsonObject;
  readonly applied: JsonObject;
  readonly manager: string;
  readonly force: boolean;
  readonly subresource: string | undefined;
}

/** The merged object with its new managedFields. */
export function applyPatch(input: ApplyInput): JsonObject {
  const { live, applied, manager, subresource } = input;
  const mine = leaves(applied, subresource);
  const entries = entriesOf(live);
  const isMine = (entry: ManagedFieldsEntry): boolean =>
    entry.operation === 'Apply' && entry.manager === manager && (entry.subresource ?? undefined) === subresource;

  const kept: ManagedFieldsEntry[] = [];
  for (const entry of entries) {
    if (isMine(entry)) continue;
    const paths = pathsOf(entry);
    const disputed = [...paths].filter((path) => mine.has(path) && !isDeepStrictEqual(at(live, path), mine.get(path)));
    if (disputed.length > 0 && !input.force) throw new ApplyConflict(entry.manager ?? '', disputed.map(readable));
    for (const path of disputed) paths.delete(path);
    if (paths.size > 0) kept.push({ ...entry, fieldsV1: toFieldsV1(paths) });
  }

  const merged = structuredClone(live);
  const others = new Set(kept.flatMap((entry) => [...pathsOf(entry)]));
  const before = entries.find(isMine);
  const dropped = [...(before === undefined ? [] : pathsOf(before))].filter(
    (path) => !mine.has(path) && !others.has(path) && !hasBelow(mine.keys(), path),
  );
  // Whole list items first: without its key field an item could not be found again.
  for (const path of dropped.toSorted((a, b) => Number(b.endsWith('.')) - Number(a.endsWith('.'))))
    remove(merged, path);
  merge(merged, pruned(applied, subresource));
  const own: ManagedFieldsEntry = {
    manager,
    operation: 'Apply',
    ...(subresource === undefined ? {} : { subresource }),
    fieldsType: 'FieldsV1',
    fieldsV1: toFieldsV1(new Set(mine.keys())),
  };
  return withManagedFields(merged, mine.size === 0 ? kept : [...kept, own]);
}

/** Fields that `manager` changes by another kind of write become its own, as an `Update` entry. */
export function recordUpdate(
  before: JsonObject,
  after: JsonObject,
  manager: string,
  subresource: string | undefined,
): JsonObject {
  const was = leaves(before, subresource);
  const is = leaves(after, subresource);
  const changed = new Set(
    [...is].filter(([path, value]) => !isDeepStrictEqual(was.get(path), value)).map(([path]) => path),
  );
  const entries: ManagedFieldsEntry[] = [];
  let own: Set<FieldPath> = changed;
  for (const entry of entriesOf(after)) {
    const paths = new Set([...pathsOf(entry)].filter((path) => is.has(path) || entry.subresource !== subresource));
    if (entry.operation === 'Update' && entry.manager === manager && entry.subresource === subresource) {
      own = new Set([...paths, ...changed]);
      continue;
    }
    for (const path of changed) paths.delete(path);
    if (paths.size > 0) entries.push({ ...entry, fieldsV1: toFieldsV1(paths) });
  }
  if (own.size > 0)
    entries.push({
      manager,
      operation: 'Update',
      ...(subresource === undefined ? {} : { subresource }),
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(own),
    });
  return withManagedFields(after, entries);
}

/** RFC 7386. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result: JsonObject = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/** As `mergePatch`, but lists are merged by the `name` of their items; `$patch: delete` removes one. */
export function strategicMergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const result = { ...target };
  for (const [key, value] of Object.entries(patch)) {
    const live = result[key];
    if (Array.isArray(value)) result[key] = mergedByName(Array.isArray(live) ? live : [], value);
    else if (isObject(value)) result[key] = strategicMergePatch(isObject(live) ? live : {}, value);
    else if (value === null) delete result[key];
    else result[key] = value;
  }
  return result;
}

function mergedByName(live: readonly Json[], patch: readonly Json[]): Json[] {
  const items = [...live];
  for (const item of patch) {
    if (!isObject(item)) throw new Error('the fake merges only lists of objects');
    const index = items.findIndex((candidate) => isObject(candidate) && candidate['name'] === item['name']);
    const before = items[index];
    if (item['$patch'] === 'delete') {
      if (index >= 0) items.splice(index, 1);
    } else if (index < 0) items.push(item);
    else items[index] = strategicMergePatch(isObject(before) ? before : {}, item);
  }
  return items;
}

export interface JsonPatchOperation {
  readonly op: string;
  readonly path: string;
  readonly value?: Json;
}

/** RFC 6902 without move and copy. Throws if a path does not exist or a test fails. */
export function jsonPatch(target: JsonObject, operations: readonly JsonPatchOperation[]): JsonObject {
  const result = structuredClone(target);
  for (const { op, path, value } of operations) {
    const steps = path
      .split('/')
      .slice(1)
      .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = steps.pop();
    let parent: Json | undefined = result;
    for (const step of steps)
      parent = Array.isArray(parent) ? parent[Number(step)] : isObject(parent) ? parent[step] : undefined;
    if (last === undefined || (!Array.isArray(parent) && !isObject(parent))) throw new Error(`no such path: ${path}`);
    const holder = parent as JsonObject;
    const key = Array.isArray(parent) && last === '-' ? String(parent.length) : last;
    if (op === 'test') {
      if (!isDeepStrictEqual(holder[key], value)) throw new Error(`test failed at ${path}`);
    } else if (op === 'remove') {
      if (holder[key] === undefined) throw new Error(`no such path: ${path}`);
      if (Array.isArray(parent)) parent.splice(Number(key), 1);
      else delete holder[key];
    } else if (op === 'add' && Array.isArray(parent)) parent.splice(Number(key), 0, value ?? null);
    else holder[key] = value ?? null;
  }
  return result;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function pruned(object: JsonObject, subresource: string | undefined): JsonObject {
  if (subresource === 'status') return isObject(object['status']) ? { status: object['status'] } : {};
  const { metadata, ...rest } = object;
  const copy: JsonObject = {};
  for (const [key, value] of Object.entries(rest)) if (!UNOWNED.has(key)) copy[key] = value;
  const owned: JsonObject = {};
  for (const [key, value] of Object.entries(isObject(metadata) ? metadata : {}))
    if (!UNOWNED_METADATA.has(key)) owned[key] = value;
  return { ...copy, metadata: owned };
}

function leaves(object: JsonObject, subresource: string | undefined): Map<FieldPath, Json> {
  const found = new Map<FieldPath, Json>();
  const walk = (value: Json, path: FieldPath, name: string): void => {
    if (isObject(value) && Object.keys(value).length > 0)
      for (const [key, item] of Object.entries(value)) walk(item, join(path, `f:${key}`), key);
    else if (Array.isArray(value) && keysFor(name, value) !== undefined) {
      for (const item of value) {
        const below = join(path, keyOf(name, item));
        // The item itself is owned too, so that dropping it removes it.
        found.set(join(below, '.'), true);
        walk(item, below, '');
      }
    } else found.set(path, value);
  };
  for (const [key, value] of Object.entries(pruned(object, subresource)))
    if (!(isObject(value) && Object.keys(value).length === 0)) walk(value, `f:${key}`, key);
  return found;
}

function keysFor(name: string, list: readonly Json[]): readonly string[] | undefined {
  if (list.length === 0 || !list.every(isObject)) return undefined;
  if (name === 'ports') return list.every((item) => item['containerPort'] !== undefined) ? ['containerPort'] : ['port'];
  const keys = LIST_KEYS[name];
  return keys?.every((key) => list.every((item) => item[key] !== undefined)) === true ? keys : undefined;
}

function keyOf(name: string, item: Json): string {
  const keys = keysFor(name, [item]) ?? [];
  return `k:${JSON.stringify(Object.fromEntries(keys.map((key) => [key, (item as JsonObject)[key]])))}`;
}

function merge(target: JsonObject, source: JsonObject): void {
  for (const [key, value] of Object.entries(source)) {
    const current = target[key];
    if (isObject(value) && isObject(current)) merge(current, value);
    else if (Array.isArray(value) && Array.isArray(current) && keysFor(key, value) !== undefined) {
      for (const item of value as JsonObject[]) {
        const same = current.find((other) => isObject(other) && keyOf(key, other) === keyOf(key, item));
        if (isObject(same)) merge(same, item);
        else current.push(structuredClone(item));
      }
    } else target[key] = structuredClone(value);
  }
}

function steps(path: FieldPath): string[] {
  return path.split(SEPARATOR);
}

function join(path: FieldPath, step: string): FieldPath {
  return path === '' ? step : `${path}${SEPARATOR}${step}`;
}

/** The value at a path, or undefined. */
function at(object: JsonObject, path: FieldPath): Json | undefined {
  let value: Json | undefined = object;
  for (const step of steps(path)) {
    if (step === '.') return value === undefined ? undefined : true;
    value = child(value, step);
  }
  return value;
}

function child(value: Json | undefined, step: string): Json | undefined {
  if (step.startsWith('f:')) return isObject(value) ? value[step.slice(2)] : undefined;
  if (!Array.isArray(value)) return undefined;
  return value.find((item) => matches(item, step));
}

function matches(item: Json, step: string): boolean {
  const key = JSON.parse(step.slice(2)) as JsonObject;
  return isObject(item) && Object.entries(key).every(([name, wanted]) => isDeepStrictEqual(item[name], wanted));
}

function remove(object: JsonObject, path: FieldPath): void {
  const all = steps(path);
  const last = all.pop();
  if (last === undefined) return;
  if (last === '.') {
    const itemStep = all.pop();
    const list = at(object, all.join(SEPARATOR));
    if (!Array.isArray(list) || itemStep === undefined) return;
    const index = list.findIndex((item) => matches(item, itemStep));
    if (index !== -1) list.splice(index, 1);
    return;
  }
  const parent = all.length === 0 ? object : at(object, all.join(SEPARATOR));
  if (!isObject(parent)) return;
  delete parent[last.slice(2)];
  // A map or list that this emptied goes with its last member.
  if (Object.keys(parent).length === 0 && all.length > 1) remove(object, all.join(SEPARATOR));
}

function hasBelow(paths: Iterable<FieldPath>, path: FieldPath): boolean {
  for (const other of paths) if (other.startsWith(path + SEPARATOR)) return true;
  return false;
}

function readable(path: FieldPath): string {
  return `.${steps(path)
    .map((step) => step.replace(/^f:/, '').replace(/^k:/, ''))
    .join('.')}`;
}

function entriesOf(object: JsonObject): ManagedFieldsEntry[] {
  const metadata = object['metadata'];
  const entries = isObject(metadata) ? metadata['managedFields'] : undefined;
  return Array.isArray(entries) ? (entries as ManagedFieldsEntry[]) : [];
}

function withManagedFields(object: JsonObject, entries: readonly ManagedFieldsEntry[]): JsonObject {
  const metadata = isObject(object['metadata']) ? object['metadata'] : {};
  const { apiVersion } = object;
  const complete = entries.map((entry) => ({ apiVersion, ...entry }));
  return { ...object, metadata: { ...metadata, managedFields: complete as unknown as Json } };
}

function pathsOf(entry: ManagedFieldsEntry): Set<FieldPath> {
  const found = new Set<FieldPath>();
  const walk = (tree: JsonObject, path: FieldPath): void => {
    for (const [step, below] of Object.entries(tree)) {
      const here = join(path, step);
      if (isObject(below) && Object.keys(below).length > 0) walk(below, here);
      else found.add(here);
    }
  };
  walk((entry.fieldsV1 ?? {}) as JsonObject, '');
  return found;
}

function toFieldsV1(paths: ReadonlySet<FieldPath>): JsonObject {
  const tree: JsonObject = {};
  for (const path of paths) {
    let node = tree;
    for (const step of steps(path)) {
      const next = node[step];
      node = isObject(next) ? next : (node[step] = {});
    }
  }
  return tree;
}
