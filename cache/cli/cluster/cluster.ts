/** What the commands need of a cluster: its caches, their pods, what a pod answers, and prewarms. */
import type { Query } from '#shared/kube/client.ts';
import type { Fields } from '#cache/cli/replies/fields.ts';

export interface CacheRef {
  readonly name: string;
  readonly namespace: string;
  /** The OrcaCache; undefined = there is no API server to ask. */
  readonly resource: Fields | undefined;
}

export interface CachePod {
  readonly name: string;
  readonly namespace: string;
  /** Running, and not being deleted: it may answer. */
  readonly isRunning: boolean;
  /** The Pod; undefined = there is no API server to ask. */
  readonly resource: Fields | undefined;
}

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The OrcaPrewarms of the namespace. All reject with KubeError, or with CliError where there is no API server. */
export interface Prewarms {
  /** Sorted by name. */
  list(signal: AbortSignal): Promise<readonly Fields[]>;
  get(name: string, signal: AbortSignal): Promise<Fields>;
  /** Resolves with what was created: the API server may have chosen its name. */
  create(prewarm: Fields, signal: AbortSignal): Promise<Fields>;
  /** `uid`: not another one that has the same name by now. */
  delete(name: string, uid: string, signal: AbortSignal): Promise<void>;
}

export interface Cluster {
  /** Where caches are looked up. */
  readonly namespace: string;
  /** Sorted by namespace and name. */
  caches(inAllNamespaces: boolean, signal: AbortSignal): Promise<readonly CacheRef[]>;
  /** Sorted by name. */
  pods(cache: CacheRef, signal: AbortSignal): Promise<readonly CachePod[]>;
  /** JSON of a pod's ops port. Rejects with KubeError. */
  get(pod: CachePod, path: string, query: Query, signal: AbortSignal): Promise<unknown>;
  /** Runs a command in the pod. `atLeastMs`: what it may take, whatever the time limit of a request is. */
  run(pod: CachePod, command: readonly string[], signal: AbortSignal, atLeastMs?: number): Promise<ExecResult>;
  readonly prewarms: Prewarms;
}
