/** Pods by the URLs of their ops ports: in a pod, or without Kubernetes. There is one cache, and no resource. */
import { errorFromStatus, KubeError } from '#shared/kube/error.ts';
import { CliError, UsageError } from '#cache/cli/frame/errors.ts';
import type { Cluster } from './cluster.ts';

/** More than any answer: 100 objects or 256 chunks. */
const MAX_BYTES = 16 * 1024 * 1024;

export function urlCluster(urls: string, timeoutMs: number): Cluster {
  const bases = urls.split(',').map(parseUrl);
  return {
    namespace: '',
    caches: async () => [{ name: 'cache', namespace: '', resource: undefined }],
    pods: async () => bases.map(({ host }) => ({ name: host, namespace: '', isRunning: true, resource: undefined })),
    async get(pod, path, query, signal) {
      const base = bases.find(({ host }) => host === pod.name);
      const url = new URL(path, base);
      for (const [name, value] of Object.entries(query))
        if (value !== undefined) url.searchParams.set(name, String(value));
      return getJson(url, timeoutMs, signal);
    },
    run: () => Promise.reject(new CliError('a command runs in a pod by the API server only: leave out --pod-url')),
    prewarms: { list: noPrewarms, get: noPrewarms, create: noPrewarms, delete: noPrewarms },
  };
}

async function noPrewarms(): Promise<never> {
  throw new CliError('prewarms are resources of the API server: leave out --pod-url');
}

function parseUrl(text: string): URL {
  const url = URL.parse(text.trim());
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new UsageError(`--pod-url '${text}' is not a URL such as http://127.0.0.1:8442`);
  return url;
}

async function getJson(url: URL, timeoutMs: number, signal: AbortSignal): Promise<unknown> {
  const what = `GET ${url.origin}${url.pathname}`;
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, limit]), redirect: 'error' });
    const text = await response.text();
    if (text.length > MAX_BYTES) throw new KubeError(0, 'Malformed', `${what}: more than ${MAX_BYTES} bytes`);
    const body = jsonOf(text);
    if (!response.ok)
      throw errorFromStatus(what, response.status, body ?? { kind: 'Status', message: text.slice(0, 200).trim() });
    if (body === undefined) throw new KubeError(0, 'Malformed', `${what}: the response is not JSON`);
    return body;
  } catch (error) {
    if (error instanceof KubeError) throw error;
    signal.throwIfAborted();
    const reason = limit.aborted ? `no response within ${timeoutMs} ms` : messageOf(error);
    throw new KubeError(0, limit.aborted ? 'Timeout' : 'Unreachable', `${what}: ${reason}`, { cause: error });
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** `fetch failed` hides why. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
