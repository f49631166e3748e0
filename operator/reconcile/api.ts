/** The API client of one reconcile: every call is bound to its signal, and writes are separate from reads. */
import type { KubeClient, RequestOptions } from '#shared/kube/client.ts';
import { hasStatus } from '#shared/kube/error.ts';
import type { KubeList, KubeObject } from '#shared/kube/types.ts';
import type { Log } from '#shared/log.ts';

export interface Api {
  readonly log: Log;
  readonly signal: AbortSignal;
  read<T>(path: string): Promise<T>;
  /** Undefined if the object does not exist. */
  find<T>(path: string): Promise<T | undefined>;
  list<T extends KubeObject>(path: string, labelSelector: string): Promise<readonly T[]>;
  write<T>(method: 'POST' | 'PATCH' | 'DELETE', path: string, options: WriteOptions): Promise<T>;
}

export type WriteOptions = Pick<RequestOptions, 'query' | 'body' | 'contentType'>;

export interface ApiOptions {
  readonly client: KubeClient;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Called just before each write is sent; throws if the lease is no longer held. */
  readonly assertHeld?: () => void;
}

/** Far more children than a cache has; a longer list is truncated. */
const LIST_LIMIT = 500;

export function openApi({ client, log, signal, assertHeld = () => {} }: ApiOptions): Api {
  const read = <T>(path: string): Promise<T> => client.request<T>('GET', path, { signal });
  return {
    log,
    signal,
    read,
    async find(path) {
      try {
        return await read(path);
      } catch (error) {
        if (hasStatus(error, 404)) return undefined;
        throw error;
      }
    },
    async list<T extends KubeObject>(path: string, labelSelector: string): Promise<readonly T[]> {
      const list = await client.request<KubeList<T>>('GET', path, {
        query: { labelSelector, limit: LIST_LIMIT },
        signal,
      });
      return list.items;
    },
    write: (method, path, options) => client.request(method, path, { ...options, signal, beforeSend: assertHeld }),
  };
}
