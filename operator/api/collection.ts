/** A collection of the API whose changes lead to reconciles: what a controller watches. */
import { controllerOf, type Live } from './manifest.ts';

export interface Collection {
  /** The path of the collection in one namespace; in all without `namespace`. */
  readonly path: (namespace?: string) => string;
  readonly query?: Readonly<Record<string, string>>;
  /** The keys (`<namespace>/<name>`) to reconcile when this object appears, changes or disappears. */
  readonly keysOf: (object: Live) => readonly string[];
  /** A change that leaves this value the same is ignored. */
  readonly versionOf: (object: Live) => string;
  /** Each list reconciles the unchanged objects too, which repairs unnoticed drift. */
  readonly resync: boolean;
  /** The resource may not be installed, which is the same as an empty collection. */
  readonly mayBeAbsent?: boolean;
}

export function keyOf({ metadata: { namespace = '', name } }: Live): string {
  return `${namespace}/${name}`;
}

/** The user's input. The generation changes with the spec, but not with the status. */
export function requestedState({ metadata: { generation, annotations = {}, deletionTimestamp } }: Live): string {
  return JSON.stringify([generation, annotations, deletionTimestamp]);
}

/** Any change of the object. */
export function anyChange({ metadata: { resourceVersion } }: Live): string {
  return resourceVersion;
}

/** The key of the object of this kind that controls a child. */
export function ownerKeys(kind: string, object: Live): readonly string[] {
  const owner = controllerOf(object);
  return owner?.kind === kind ? [`${object.metadata.namespace ?? ''}/${owner.name}`] : [];
}
