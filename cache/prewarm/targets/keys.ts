/** Keys that a ConfigMap in the cache's namespace lists. */
import { OrcaError } from '#cache/core/errors.ts';
import { ownValue } from '#cache/core/own-value.ts';
import type { TargetSpec } from '#cache/prewarm/resource.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { KubeError } from '#shared/kube/error.ts';
import type { KubeObject } from '#shared/kube/types.ts';
import { readKeyLines } from './lines.ts';
import { MAX_PAGE_KEYS, type Target } from './target.ts';

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

type KeysSpec = Extract<TargetSpec, { readonly kind: 'keys' }>;

/** Positions are offsets. A ConfigMap has 1 MiB at most. */
export function keysTarget(spec: KeysSpec, client: Pick<KubeClient, 'request'>, namespace: string): Target {
  const { bucket, configMap } = spec;
  const title = `ConfigMap ${namespace}/${configMap.name}`;
  return {
    bucket,
    title,
    async *pages(after, signal) {
      const bytes = await readKey(client, namespace, configMap, title, signal);
      let offset = /^\d{1,9}$/.test(after) ? Number(after) : 0;
      while (offset < bytes.length) {
        const from = offset;
        const { lines, end } = readKeyLines(bytes.subarray(from), true, MAX_PAGE_KEYS);
        offset += end;
        yield {
          keys: lines.map((line) => ({ key: line.key, sizeBytes: undefined, after: String(from + line.end) })),
          after: String(offset),
        };
      }
    },
  };
}

async function readKey(
  client: Pick<KubeClient, 'request'>,
  namespace: string,
  { name, key }: { readonly name: string; readonly key: string },
  title: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/${encodeURIComponent(name)}`;
  try {
    const { data = {} } = await client.request<ConfigMap>('GET', path, { signal });
    const text = ownValue(data, key);
    if (text === undefined) throw new OrcaError('not_found', `${title} has no key ${key}`);
    return Buffer.from(text, 'utf8');
  } catch (error) {
    if (signal.aborted || !(error instanceof KubeError)) throw error;
    // The operator grants access to this ConfigMap, which takes a moment; so does what was applied together with it.
    throw new OrcaError(
      error.status === 404 ? 'not_found' : error.status === 403 ? 'access_denied' : 'overloaded',
      `${title} cannot be read: ${error.message}`,
      { cause: error },
    );
  }
}
