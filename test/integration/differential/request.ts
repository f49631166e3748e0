/** A request of the differential test. It is sent to two servers, and signed for the host of each. */
import type { Agent } from 'node:http';
import { createSigner, type Credentials } from '#cache/wire/s3/sigv4.ts';
import { http, type HttpAnswer } from '#test/support/http.ts';
import { presign } from '#test/support/presign.ts';

export type Query = readonly (readonly [name: string, value: string])[];

export interface Request {
  readonly method: string;
  /** As on the wire. */
  readonly path: string;
  /** Decoded. */
  readonly query: Query;
  /** All of them are signed. */
  readonly headers: Readonly<Record<string, string>>;
  /** Set, or left out, when the signature is there. */
  readonly late?: Readonly<Record<string, string | undefined>>;
  readonly body?: string;
  readonly auth: Auth;
}

export type Auth = Signed | { readonly kind: 'none' };

interface Signed {
  readonly kind: 'header' | 'presigned';
  /** Other credentials than those that are good. */
  readonly with?: Partial<Credentials>;
  /** The age of the signature. */
  readonly ageMs?: number;
  /** The lifetime of a presigned URL in seconds; S3 accepts 1 to 604800. */
  readonly expires?: string;
}

export interface Server {
  readonly endpoint: string;
  readonly agent: Agent;
}

/** Accepted by both servers. */
export const CREDENTIALS = { accessKeyId: 'orcatest', secretAccessKey: 'orcatest-secret' };
const REGION = 'us-east-1';
const DEFAULT_EXPIRES_S = 300;

const signer = createSigner(REGION);

/** By default a GET that is signed in its headers. */
export function request(path: string, query: Query = [], more: Partial<Request> = {}): Request {
  return { method: 'GET', path, query, headers: {}, auth: { kind: 'header' }, ...more };
}

/** A line that describes the whole request. */
export function nameOf({ method, path, query, headers, late = {}, auth }: Request): string {
  const shownHeaders = Object.entries({ ...headers, ...late }).map(([name, value]) => ` ${name}=${value ?? 'none'}`);
  const shownAuth = auth.kind === 'header' && Object.keys(auth).length === 1 ? '' : ` auth=${JSON.stringify(auth)}`;
  return `${method} ${shorten(path)}${query.length === 0 ? '' : `?${wireQuery(query)}`}${shownHeaders.join('')}${shownAuth}`;
}

export function send({ endpoint, agent }: Server, request: Request): Promise<HttpAnswer> {
  const { method, path, query, auth, late = {}, body } = request;
  const { host } = new URL(endpoint);
  const headers = { host, ...(body !== undefined && { 'content-length': String(body.length) }), ...request.headers };
  const rest = { method, agent, ...(body !== undefined && { body }) };
  const ask = (rawPath: string, rawQuery: string, withHeaders: Readonly<Record<string, string>>) => {
    const kept = Object.entries({ ...withHeaders, ...late }).filter(([, value]) => value !== undefined);
    const sent = Object.fromEntries(kept) as Record<string, string>;
    return http(endpoint, rawQuery === '' ? rawPath : `${rawPath}?${rawQuery}`, { ...rest, headers: sent });
  };
  if (auth.kind === 'none') return ask(path, wireQuery(query), headers);
  const credentials = { ...CREDENTIALS, ...auth.with };
  const atMs = Date.now() - (auth.ageMs ?? 0);
  if (auth.kind === 'header')
    return ask(
      path,
      wireQuery(query),
      signer.sign({ method, path, query: encoded(query), credentials, nowMs: atMs, headers }),
    );
  const expiresS = auth.expires ?? DEFAULT_EXPIRES_S;
  const target = presign({ method, path, query: Object.fromEntries(query), host, ...credentials, expiresS, atMs });
  return ask(target, '', headers);
}

function wireQuery(query: Query): string {
  return encoded(query)
    .map(([name, value]) => (value === '' ? name : `${name}=${value}`))
    .join('&');
}

function encoded(query: Query): Query {
  const encode = (text: string): string =>
    encodeURIComponent(text).replaceAll(
      /[!'()*]/g,
      (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
    );
  return query.map(([name, value]) => [encode(name), encode(value)]);
}

/** Keys of the maximum length are shortened. */
function shorten(path: string): string {
  return path.length <= 200 ? path : `${path.slice(0, 40)}…(${path.length})`;
}
