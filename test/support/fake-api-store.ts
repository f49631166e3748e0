/**
 * The state of the fake API server: objects by path, one resourceVersion for all, and a log of changes that watches
 * replay. Behaves like the real one as far as controllers can tell: generation, no-op writes, uid, finalizers, garbage
 * collection.
 */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject, Status } from '#shared/kube/types.ts';
import { isObject, recordUpdate, type Json, type JsonObject } from './fake-apply.ts';

/** An error response: the fields of its Status body. */
export class ApiRefusal extends Error {
  readonly status: number;
  readonly reason: string;
  readonly details: Status['details'];
  constructor(status: number, reason: string, message: string, details?: Status['details']) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.details = details;
  }
}

/** The parts of a path such as `/apis/apps/v1/namespaces/ml/deployments/models/status`. */
export interface ResourcePath {
  /** Without a namespace: a list over all namespaces. */
  readonly collection: string;
  readonly apiVersion: string;
  readonly plural: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

export interface Change {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly collection: string;
  readonly before: KubeObject | undefined;
  readonly object: KubeObject;
}

export interface WriteOptions {
  readonly manager: string;
  readonly dryRun?: boolean;
  /** The candidate already carries its managedFields (server-side apply). */
  readonly applied?: boolean;
}

export function parsePath(path: string): ResourcePath | undefined {
  const match = /^\/(?:api\/(?<core>v\d\w*)|apis\/(?<group>[^/]+\/[^/]+))\/(?<rest>.+)$/.exec(path);
  const apiVersion = match?.groups?.['core'] ?? match?.groups?.['group'];
  const rest = match?.groups?.['rest']?.split('/').map((step) => decodeURIComponent(step));
  if (apiVersion === undefined || rest === undefined || rest.some((step) => step === '')) return undefined;
  const prefix = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const namespaced = rest[0] === 'namespaces' && rest.length >= 3 && rest[2] !== 'status' && rest[2] !== 'finalize';
  const [plural, name, subresource] = namespaced ? rest.slice(2) : rest;
  if (plural === undefined) return undefined;
  return {
    collection: `${prefix}/${plural}`,
    apiVersion,
    plural,
    namespace: namespaced ? rest[1] : undefined,
    name,
    subresource,
  };
}

/** `app=a,tier!=b,c,!d`; set-based selectors are refused, because no code here uses them. */
export function labelMatcher(selector: string | null): (object: KubeObject) => boolean {
  if (selector === null || selector === '') return () => true;
  const tests = selector.split(',').map((term) => {
    if (/[()]/.test(term))
      throw new ApiRefusal(400, 'BadRequest', `the fake knows no set-based selectors: ${selector}`);
    const [key = '', value] = term.split(/!=|==?/).map((part) => part.trim());
    if (value === undefined)
      return key.startsWith('!')
        ? (labels: Labels) => labels[key.slice(1)] === undefined
        : (labels: Labels) => labels[key] !== undefined;
    return term.includes('!=') ? (labels: Labels) => labels[key] !== value : (labels: Labels) => labels[key] === value;
  });
  return (object) => tests.every((test) => test(object.metadata.labels ?? {}));
}

type Labels = Readonly<Record<string, string>>;

export function fieldMatcher(selector: string | null): (object: KubeObject) => boolean {
  if (selector === null || selector === '') return () => true;
  const tests = selector.split(',').map((term) => {
    const [path = '', wanted] = term.split(/==?/);
    return (object: KubeObject): boolean => {
      let value: unknown = object;
      for (const step of path.split('.')) value = isObject(value) ? value[step] : undefined;
      // An absent field is an empty one.
      return (value ?? '') === wanted;
    };
  });
  return (object) => tests.every((test) => test(object));
}

export interface Preconditions {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

export interface Store {
  version(): number;
  get(path: ResourcePath): KubeObject | undefined;
  list(path: ResourcePath): KubeObject[];
  create(path: ResourcePath, body: JsonObject, options: WriteOptions): KubeObject;
  /** `change` gets a copy of the live object and returns the new one. */
  update(path: ResourcePath, change: (live: JsonObject) => JsonObject, options: WriteOptions): KubeObject;
  remove(path: ResourcePath, preconditions?: Preconditions): KubeObject;
  /** Deletes objects whose owners are all deleted; returns how many. */
  collectGarbage(): number;
  /** Changes behind `version`, or undefined where they were compacted away. */
  changesSince(version: number): readonly Change[] | undefined;
  onChange(listener: (change: Change) => void): () => void;
  compact(): void;
}

export function openStore(kindOf: (plural: string) => string, now: () => number): Store {
  const objects = new Map<string, { readonly collection: string; object: KubeObject }>();
  const listeners = new Set<(change: Change) => void>();
  let changes: Change[] = [];
  let compactedTo = 0;
  // Not 1, so that it is not confused with a generation.
  let version = 100;

  const keyOf = (path: ResourcePath): string => `${path.collection} ${path.namespace ?? ''} ${path.name ?? ''}`;

  function record(path: ResourcePath, type: Change['type'], before: KubeObject | undefined, object: KubeObject): void {
    const change: Change = { version, type, collection: path.collection, before, object };
    changes.push(change);
    for (const listener of listeners) listener(change);
  }

  function live(path: ResourcePath): KubeObject {
    const found = objects.get(keyOf(path))?.object;
    if (found === undefined)
      throw new ApiRefusal(404, 'NotFound', `${path.plural} "${path.name}" not found`, detailsOf(path));
    return found;
  }

  function stamped(object: JsonObject, metadata: JsonObject): KubeObject {
    return { ...object, metadata: { ...(object['metadata'] as JsonObject), ...metadata } };
  }

  const store: Store = {
    version: () => version,
    get: (path) => objects.get(keyOf(path))?.object,
    list: (path) =>
      [...objects.values()]
        .filter((entry) => entry.collection === path.collection)
        .map((entry) => entry.object)
        .filter((object) => path.namespace === undefined || object.metadata.namespace === path.namespace)
        .toSorted((a, b) => idOf(a).localeCompare(idOf(b))),

    create(path, body, options) {
      const given = isObject(body['metadata']) ? body['metadata'] : {};
      const name =
        given['name'] ??
        (typeof given['generateName'] === 'string' ? given['generateName'] + randomUUID().slice(0, 5) : undefined);
      if (typeof name !== 'string') throw new ApiRefusal(422, 'Invalid', 'metadata.name: Required value');
      const at = { ...path, name };
      if (objects.has(keyOf(at)))
        throw new ApiRefusal(409, 'AlreadyExists', `${path.plural} "${name}" already exists`, detailsOf(at));
      const { status: _dropped, ...rest } = body;
      const named: JsonObject = {
        apiVersion: path.apiVersion,
        kind: kindOf(path.plural),
        ...rest,
        metadata: { ...given, name, ...(path.namespace === undefined ? {} : { namespace: path.namespace }) },
      };
      const owned =
        options.applied === true ? named : recordUpdate({ metadata: {} }, named, options.manager, undefined);
      const object = stamped(owned, {
        uid: randomUUID(),
        generation: 1,
        creationTimestamp: new Date(now()).toISOString().replace(/\.\d+Z$/, 'Z'),
        resourceVersion: String(version + 1),
      });
      if (options.dryRun === true) return object;
      version += 1;
      objects.set(keyOf(at), { collection: path.collection, object });
      record(at, 'ADDED', undefined, object);
      return object;
    },

    update(path, change, options) {
      const before = live(path);
      const was = before as unknown as JsonObject;
      const wanted = change(structuredClone(was));
      const metadata = isObject(wanted['metadata']) ? wanted['metadata'] : {};
      const { uid, resourceVersion } = metadata;
      if (
        typeof resourceVersion === 'string' &&
        resourceVersion !== '' &&
        resourceVersion !== before.metadata.resourceVersion
      )
        throw conflict(
          path,
          'the object has been modified; please apply your changes to the latest version and try again',
        );
      if (typeof uid === 'string' && uid !== before.metadata.uid)
        throw conflict(
          path,
          `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.metadata.uid}`,
        );
      if (was['immutable'] === true && !isDeepStrictEqual(was['data'], wanted['data']))
        throw new ApiRefusal(
          422,
          'Invalid',
          `${path.plural} "${path.name}" is invalid: data: Forbidden: field is immutable`,
        );

      // A status write changes nothing but the status, and any other write everything but it.
      const next: JsonObject =
        path.subresource === 'status'
          ? { ...was, ...(wanted['status'] === undefined ? {} : { status: wanted['status'] }) }
          : { ...wanted, ...(was['status'] === undefined ? {} : { status: was['status'] }) };
      if (path.subresource !== 'status' && was['status'] === undefined) delete next['status'];
      const fields = metadata['managedFields'] ?? (was['metadata'] as JsonObject)['managedFields'];
      const kept = path.subresource === 'status' ? (was['metadata'] as JsonObject) : metadata;
      const { deletionTimestamp: _ignored, ...settable } = kept;
      next['metadata'] = {
        ...settable,
        ...serverFields(before),
        // A write without managedFields leaves them unchanged.
        ...(fields === undefined ? {} : { managedFields: fields }),
      };
      const owned = options.applied === true ? next : recordUpdate(was, next, options.manager, path.subresource);
      if (isDeepStrictEqual(withoutTimes(owned), withoutTimes(was))) return before;
      const generation = (before.metadata.generation ?? 1) + (sameSpec(was, owned) ? 0 : 1);
      const object = stamped(owned, { generation, resourceVersion: String(version + 1) });
      if (options.dryRun === true) return object;
      version += 1;
      if (before.metadata.deletionTimestamp !== undefined && (object.metadata.finalizers ?? []).length === 0) {
        objects.delete(keyOf(path));
        record(path, 'DELETED', before, object);
        return object;
      }
      objects.set(keyOf(path), { collection: path.collection, object });
      record(path, 'MODIFIED', before, object);
      return object;
    },

    remove(path, { uid, resourceVersion } = {}) {
      const before = live(path);
      if (resourceVersion !== undefined && resourceVersion !== before.metadata.resourceVersion)
        throw conflict(path, `Precondition failed: ResourceVersion in precondition: ${resourceVersion}`);
      if (uid !== undefined && uid !== before.metadata.uid)
        throw conflict(
          path,
          `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.metadata.uid}`,
        );
      const waits = (before.metadata.finalizers ?? []).length > 0;
      if (waits && before.metadata.deletionTimestamp !== undefined) return before;
      version += 1;
      const object = stamped(before as unknown as JsonObject, {
        resourceVersion: String(version),
        ...(waits ? { deletionTimestamp: new Date(now()).toISOString() } : {}),
      });
      if (waits) objects.set(keyOf(path), { collection: path.collection, object });
      else objects.delete(keyOf(path));
      record(path, waits ? 'MODIFIED' : 'DELETED', before, object);
      return object;
    },

    collectGarbage() {
      let collected = 0;
      for (;;) {
        const alive = new Set([...objects.values()].map((entry) => entry.object.metadata.uid));
        const orphan = [...objects.values()].find(({ object }) => {
          const owners = object.metadata.ownerReferences ?? [];
          return (
            owners.length > 0 &&
            object.metadata.deletionTimestamp === undefined &&
            !owners.some((owner) => alive.has(owner.uid))
          );
        });
        if (orphan === undefined) return collected;
        const { namespace, name } = orphan.object.metadata;
        const path = `${orphan.collection.replace(/\/([^/]+)$/, namespace === undefined ? '/$1' : `/namespaces/${namespace}/$1`)}/${name}`;
        const parsed = parsePath(path);
        if (parsed === undefined) throw new Error(`garbage at an impossible path: ${path}`);
        store.remove(parsed);
        collected += 1;
      }
    },

    changesSince: (from) => (from < compactedTo ? undefined : changes.filter((change) => change.version > from)),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    compact() {
      changes = [];
      compactedTo = version;
    },
  };
  return store;
}

export function idOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`;
}

function conflict(path: ResourcePath, message: string): ApiRefusal {
  return new ApiRefusal(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${path.plural} "${path.name}": ${message}`,
    detailsOf(path),
  );
}

function detailsOf(path: ResourcePath): NonNullable<Status['details']> {
  return {
    ...(path.name === undefined ? {} : { name: path.name }),
    ...(path.apiVersion.includes('/') ? { group: path.apiVersion.split('/')[0] ?? '' } : {}),
    kind: path.plural,
  };
}

/** Set at creation; clients cannot change them. */
function serverFields(object: KubeObject): JsonObject {
  const { uid, resourceVersion, generation, creationTimestamp, deletionTimestamp, name, namespace } = object.metadata;
  const fields = { uid, resourceVersion, generation, creationTimestamp, deletionTimestamp, name, namespace };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as JsonObject;
}

function sameSpec(before: JsonObject, after: JsonObject): boolean {
  const { metadata: _m, status: _s, ...was } = before;
  const { metadata: _n, status: _t, ...is } = after;
  return isDeepStrictEqual(was, is);
}

function withoutTimes(object: JsonObject): Json {
  const metadata = isObject(object['metadata']) ? object['metadata'] : {};
  const { managedFields, ...rest } = metadata;
  const entries = Array.isArray(managedFields)
    ? managedFields.map((entry) => (isObject(entry) ? { ...entry, time: null } : entry))
    : [];
  return { ...object, metadata: { ...rest, managedFields: entries } };
}
