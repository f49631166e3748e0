/**
 * Requests to an HTTP origin: adds credentials and follows redirects to allowed hosts. A redirect holds for one call:
 * its URL may be signed for minutes only. Nothing is retried here.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteSink, CallOptions } from '#cache/engine/ports.ts';
import { untilAborted } from '#cache/wire/bounded.ts';
import { openHostClients, type HostClients } from '#cache/wire/http1/host-clients.ts';
import type { Env } from '#cache/wire/http1/proxy.ts';
import type { RawRequest, RawResponse } from '#cache/wire/http1/raw-client.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { openTrust } from '#cache/wire/http1/trust.ts';
import { isConfidential } from './address.ts';
import { openAuthorization, type Authorization } from './authorization.ts';
import { isRedirect, redirectTarget } from './redirect.ts';
import type { HttpOriginSettings } from './settings.ts';
import { linkedVersion, type LinkedVersion } from './version.ts';

/** A hub and its CDN need one or two; more is a loop. */
const MAX_REDIRECTS = 5;
/** CDNs have a few dozen host names. A server that invents more must not fill the memory with clients. */
const MAX_HOSTS = 64;
/** They compare with the origin's version, which the target of a linked redirect does not know. */
const CONDITIONS = new Set(['if-match', 'if-unmodified-since']);

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD';
  readonly url: URL;
  /** For messages. */
  readonly name: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly sink?: ByteSink;
  /** The length of the body for the sink. */
  readonly expectedBytes?: number | undefined;
  /** Called with each head, also of a redirect before it is followed. An error it throws ends the call. */
  readonly onHead?: (status: number, headers: ResponseHeaders, linked: LinkedVersion | undefined) => void;
  /** Which redirects are followed; `known`: none to another host once a hub has reported the version. Default: all. */
  readonly stopAt?: 'every_redirect' | 'known';
}

export interface HttpAnswer extends RawResponse {
  /** The first version that the origin itself, not a host it redirects to, has reported for the target of a redirect. */
  readonly linked: LinkedVersion | undefined;
  /** The response of another host than the origin's. */
  readonly isForeign: boolean;
}

export class HttpClient {
  readonly #redirectHosts: readonly string[];
  readonly #caFile: string;
  readonly #authorization: Authorization;
  readonly #env: Env;
  readonly #hosts = new Set<string>();
  readonly #clients = new Map<string, HostClients>();

  constructor({ redirectHosts, caFile, credentialsDirectory }: HttpOriginSettings, env: Env) {
    this.#redirectHosts = redirectHosts;
    this.#caFile = caFile ?? '';
    this.#authorization = openAuthorization(credentialsDirectory);
    this.#env = env;
  }

  /** Rejects with WireError, OrcaError, or what `onHead` threw. */
  async send(request: HttpRequest, call: CallOptions): Promise<HttpAnswer> {
    const { method, name, sink, expectedBytes, stopAt, url: first } = request;
    let { url, headers = {} } = request;
    let linked: LinkedVersion | undefined;
    for (let redirects = 0; ; redirects++) {
      const isForeign = url.origin !== first.origin;
      const onHead = (status: number, answer: ResponseHeaders): void => {
        if (!isForeign && status < 400) linked ??= linkedVersion(answer);
        request.onHead?.(status, answer, linked);
      };
      const response = await this.#exchange(url, isForeign, { method, headers, sink, expectedBytes, onHead }, call);
      if (!isRedirect(response.status) || stopAt === 'every_redirect') return { ...response, linked, isForeign };
      if (redirects === MAX_REDIRECTS)
        throw new OrcaError('origin_unsupported', `the origin redirects ${name} more than ${MAX_REDIRECTS} times`);
      const rules = { host: first.host, redirectHosts: this.#redirectHosts };
      url = redirectTarget(url, response.headers['location'], rules, name);
      if (linked === undefined) continue;
      if (stopAt === 'known' && url.origin !== first.origin) return { ...response, linked, isForeign };
      headers = Object.fromEntries(Object.entries(headers).filter(([header]) => !CONDITIONS.has(header)));
    }
  }

  close(): void {
    for (const clients of this.#clients.values()) clients.close();
  }

  async #exchange(
    url: URL,
    isForeign: boolean,
    request: Pick<RawRequest, 'method' | 'headers' | 'sink' | 'expectedBytes' | 'onHead'>,
    call: CallOptions,
  ): Promise<RawResponse> {
    const headers: Record<string, string> = { 'user-agent': 'orcacache', ...request.headers };
    if (!isForeign) {
      const known = this.#authorization();
      const authorization = known instanceof Promise ? await untilAborted(known, call.signal) : known;
      if (authorization !== undefined) {
        if (!isConfidential(url))
          throw new OrcaError('internal', `credentials are sent only over https, not to http://${url.host}`);
        headers['authorization'] = authorization;
      }
      if (call.requestId !== undefined) headers['x-request-id'] = call.requestId;
    }
    const found = this.#clientsFor(url).of(url.host);
    const client = found instanceof Promise ? await untilAborted(found, call.signal) : found;
    const { signal, firstByteTimeoutMs, stallTimeoutMs } = call;
    const path = url.pathname + url.search;
    return client.request({ ...request, path, headers, signal, firstByteTimeoutMs, stallTimeoutMs });
  }

  #clientsFor({ protocol, host }: URL): HostClients {
    if (!this.#hosts.has(host) && this.#hosts.size >= MAX_HOSTS) {
      // Requests in progress end on the old connections.
      this.close();
      this.#clients.clear();
      this.#hosts.clear();
    }
    this.#hosts.add(host);
    let clients = this.#clients.get(protocol);
    if (clients === undefined) {
      const secureContext = protocol === 'https:' ? openTrust(this.#caFile) : undefined;
      clients = openHostClients({ protocol, secureContext, env: this.#env });
      this.#clients.set(protocol, clients);
    }
    return clients;
  }
}
