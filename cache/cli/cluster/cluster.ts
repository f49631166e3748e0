/** What the commands need of a cluster: its caches, their pods, and what a pod answers. */
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

export interface Cluster {
  /** Where caches are looked up. */
  readonly namespace: string;
  /** Sorted by namespace and name. */
  caches(inAllNamespaces: boolean, signal: AbortSignal): Promise<readonly CacheRef[]>;
  /** Sorted by name. */
  pods(cache: CacheRef, signal: AbortSignal): Promise<readonly CachePod[]>;
  /** JSON of a pod's ops port. Rejects with KubeError. */
  get(pod: CachePod, path: string, query: Query, signal: AbortSignal): Promise<unknown>;
  /** Runs a command in the pod. */
  run(pod: CachePod, command: readonly string[], signal: AbortSignal): Promise<ExecResult>;
}
