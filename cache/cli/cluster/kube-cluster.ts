/**
 * A cluster by its API server: resources and pods by list, and ops ports through the API server's proxy, so that nothing
 * is forwarded and no pod needs an address that can be reached from here.
 */
import { GROUP, LABEL, PLURAL, POD_PORT, VERSION } from '#crds/names.ts';
import type { ApiServer } from '#shared/kube/api-request.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { hasStatus } from '#shared/kube/error.ts';
import { CliError } from '#cache/cli/frame/errors.ts';
import { fieldsAt, itemsAt, textAt, type Fields } from '#cache/cli/replies/fields.ts';
import type { CachePod, CacheRef, Cluster } from './cluster.ts';
import { execInPod } from './exec.ts';
import { kubePrewarms } from './kube-prewarms.ts';

/** As the operator labels them: crds/names.ts. */
const APP = 'orcacache';
const COMPONENT = 'cache';
const PAGE = 500;

export interface KubeClusterOptions {
  readonly server: ApiServer;
  readonly client: KubeClient;
  readonly namespace: string;
  readonly timeoutMs: number;
}

export function kubeCluster({ server, client, namespace, timeoutMs }: KubeClusterOptions): Cluster {
  const list = async (path: string, labelSelector: string | undefined, signal: AbortSignal): Promise<Fields[]> => {
    const items: Fields[] = [];
    let token: string | undefined;
    do {
      const query = { limit: PAGE, continue: token, labelSelector };
      const page = await client.request<unknown>('GET', path, { query, timeoutMs, signal });
      items.push(...itemsAt(page, 'items'));
      token = textAt(page, 'metadata', 'continue') || undefined;
    } while (token !== undefined);
    return items.toSorted((a, b) => compare(nameOf(a), nameOf(b)));
  };
  return {
    namespace,
    async caches(inAllNamespaces, signal) {
      const scope = inAllNamespaces ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
      try {
        const items = await list(`/apis/${GROUP}/${VERSION}${scope}/${PLURAL}`, undefined, signal);
        return items.map((resource) => ({ ...idOf(resource), resource }));
      } catch (error) {
        if (!hasStatus(error, 404)) throw error;
        throw new CliError(
          `this cluster has no resource ${PLURAL}.${GROUP}: install the operator (chart orcacache), or choose another --context`,
          error,
        );
      }
    },
    async pods(cache, signal) {
      const labels = { [LABEL.name]: APP, [LABEL.instance]: cache.name, [LABEL.component]: COMPONENT };
      const selector = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
      const path = `/api/v1/namespaces/${encodeURIComponent(cache.namespace)}/pods`;
      return (await list(path, selector.join(','), signal)).map(podOf);
    },
    get: (pod, path, query, signal) =>
      client.request('GET', `${pathOf(pod, `:${POD_PORT.ops}`)}/proxy${path}`, { query, timeoutMs, signal }),
    run: (pod, command, signal, atLeastMs = 0) => {
      const limit = { timeoutMs: Math.max(timeoutMs, atLeastMs), signal };
      return execInPod(server, `${pathOf(pod)}/exec`, command, limit);
    },
    prewarms: kubePrewarms({ client, namespace, timeoutMs, list }),
  };
}

/** The cache of that name; rejects with the names that there are. */
export async function findCache(cluster: Cluster, name: string, signal: AbortSignal): Promise<CacheRef> {
  const caches = await cluster.caches(false, signal);
  const found = caches.find((cache) => cache.name === name);
  if (found !== undefined) return found;
  const known = caches.map((cache) => cache.name).join(', ');
  const others = known === '' ? 'it has none' : `it has ${known}`;
  throw new CliError(`no cache '${name}' in namespace ${cluster.namespace}: ${others}; -n selects another namespace`);
}

function podOf(resource: Fields): CachePod {
  const isRunning =
    textAt(resource, 'status', 'phase') === 'Running' && textAt(resource, 'metadata', 'deletionTimestamp') === '';
  return { ...idOf(resource), isRunning, resource };
}

function pathOf({ namespace, name }: CachePod, port = ''): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}${port}`;
}

function idOf(resource: Fields): { readonly name: string; readonly namespace: string } {
  const { name, namespace } = fieldsAt(resource, 'metadata');
  return { name: String(name), namespace: String(namespace) };
}

function nameOf(resource: Fields): string {
  const { name, namespace } = idOf(resource);
  return `${namespace}/${name}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
