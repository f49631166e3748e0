/** An HTTP client for `@azure/identity` that sends every request to a server on loopback, whatever its URL. */
import type { AzureChainOptions } from '#cache/wire/azure/default-chain.ts';

type HttpClient = NonNullable<AzureChainOptions['httpClient']>;
type Response = Awaited<ReturnType<HttpClient['sendRequest']>>;

export function httpClientOf(endpoint: string): HttpClient {
  return {
    async sendRequest(request) {
      const { pathname, search } = new URL(request.url);
      const limit = request.timeout > 0 ? [AbortSignal.timeout(request.timeout)] : [];
      const aborted = new AbortController();
      request.abortSignal?.addEventListener('abort', () => aborted.abort());
      const body = typeof request.body === 'string' ? request.body : undefined;
      const response = await fetch(endpoint + pathname + search, {
        method: request.method,
        headers: request.headers.toJSON(),
        ...(body !== undefined && { body }),
        signal: AbortSignal.any([aborted.signal, ...limit]),
      });
      const headers = request.headers;
      const answered = Object.create(headers) as Response['headers'];
      answered.get = (name) => response.headers.get(name) ?? undefined;
      answered.has = (name) => response.headers.has(name);
      answered.toJSON = () => Object.fromEntries(response.headers);
      return { request, status: response.status, headers: answered, bodyAsText: await response.text() };
    },
  };
}
