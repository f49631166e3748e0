/**
 * A Hugging Face hub and its CDN on loopback, to the extent that downloads by `/ORG/REPO/resolve/REV/FILE` need them:
 * - a large (LFS) file is a 302 to a signed URL of the CDN, with the hash and the size of the file in X-Linked-ETag and
 *   X-Linked-Size; the CDN has an ETag of its own, and the URL is signed for GET only;
 * - a small file is a 307 to a path of the hub that contains the commit, or comes directly from private repositories.
 */
import { createHash } from 'node:crypto';
import { reply, startScriptedServer, type CapturedRequest, type ScriptedServer } from './scripted-server.ts';

export interface HubFile {
  readonly body: Buffer;
  readonly kind: 'lfs' | 'small' | 'direct';
}

export interface HuggingFaceHub extends AsyncDisposable {
  readonly hub: ScriptedServer;
  readonly cdn: ScriptedServer;
  /** `host:port` of the CDN. */
  readonly cdnHost: string;
  /** By path: `org/repo/resolve/main/file`. */
  readonly files: Map<string, HubFile>;
  /** The CDN rejects the next `count` requests, as it does after a signature has expired. */
  expireNext(count: number): void;
}

const COMMIT = '607a30d783dfa663caf39e06633721c8d4cfcd7e';
const SIGNATURE = 'the-secret-signature';

/** With a `token`, requests without it are answered as for a private repository. */
export async function startHuggingFaceHub(token?: string): Promise<HuggingFaceHub> {
  const files = new Map<string, HubFile>();
  let expiring = 0;
  const cdn = await startScriptedServer((request, answer) => {
    const url = new URL(request.target, 'http://cdn');
    const file = [...files.values()].find(({ body }) => url.pathname === `/xet-bridge/${sha256(body)}`);
    const isExpired = expiring > 0;
    if (isExpired) expiring -= 1;
    const isSigned = url.searchParams.get('Signature') === SIGNATURE && request.method === 'GET';
    if (file === undefined || !isSigned || isExpired) return answer.write(reply('403 Forbidden', {}, 'AccessDenied'));
    const etag = `"${sha256(file.body).slice(0, 32)}-7"`;
    return answer.write(content(request, file.body, { etag, 'content-type': 'application/octet-stream' }));
  });
  const cdnHost = new URL(cdn.endpoint).host;

  const hub = await startScriptedServer((request, answer) => {
    const url = new URL(request.target, 'http://hub');
    const path = decodeURIComponent(url.pathname);
    const cached = /^\/api\/resolve-cache\/models\/([^/]+\/[^/]+)\/[^/]+\/(.+)$/.exec(path);
    const file = files.get(cached === null ? path.slice(1) : `${cached[1]}/resolve/main/${cached[2]}`);
    if (token !== undefined && request.headers['authorization'] !== `Bearer ${token}`)
      return answer.write(bodiless('401 Unauthorized', { 'x-error-code': 'GatedRepo' }));
    if (file === undefined) return answer.write(bodiless('404 Not Found', { 'x-error-code': 'EntryNotFound' }));
    const common = { 'x-repo-commit': COMMIT };
    if (file.kind === 'lfs') {
      const hash = sha256(file.body);
      const location = `${cdn.endpoint}/xet-bridge/${hash}?Expires=1764324000&Signature=${SIGNATURE}`;
      const linked = { 'x-linked-etag': `"${hash}"`, 'x-linked-size': String(file.body.length) };
      return answer.write(redirect(request, '302 Found', { ...common, ...linked, location }));
    }
    if (file.kind === 'small' && cached === null) {
      const [repository = '', name = ''] = path.slice(1).split('/resolve/main/');
      const location = `/api/resolve-cache/models/${repository}/${COMMIT}/${name}?etag=%22${blobHash(file.body)}%22`;
      return answer.write(redirect(request, '307 Temporary Redirect', { ...common, location }));
    }
    const etag = `"${blobHash(file.body)}"`;
    return answer.write(content(request, file.body, { ...common, etag, 'content-type': 'text/plain; charset=utf-8' }));
  });
  return {
    hub,
    cdn,
    cdnHost,
    files,
    expireNext(count) {
      expiring = count;
    },
    async [Symbol.asyncDispose]() {
      await hub[Symbol.asyncDispose]();
      await cdn[Symbol.asyncDispose]();
    },
  };
}

function bodiless(status: string, headers: Record<string, string>): Buffer {
  return reply(status, headers);
}

/** The body and its length describe the redirect, not the file. */
function redirect({ method }: CapturedRequest, status: string, headers: Record<string, string>): Buffer {
  const body = `${status}. Redirecting to ${headers['location']}`;
  const described = { ...headers, 'content-type': 'text/plain; charset=utf-8', 'content-length': String(body.length) };
  return reply(status, described, method === 'HEAD' ? '' : body);
}

function content({ method, headers }: CapturedRequest, body: Buffer, described: Record<string, string>): Buffer {
  if (method === 'HEAD') return reply('200 OK', { ...described, 'content-length': String(body.length) });
  const [, from, last] = /^bytes=(\d+)-(\d+)$/.exec(headers['range'] ?? '') ?? [];
  if (from === undefined) return reply('200 OK', described, body);
  const part = body.subarray(Number(from), Number(last) + 1);
  const range = `bytes ${from}-${Number(from) + part.length - 1}/${body.length}`;
  return reply('206 Partial Content', { ...described, 'content-range': range }, part);
}

export function sha256(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex');
}

/** The name that Git gives a file, and the hub's ETag of a small one. */
export function blobHash(body: Buffer): string {
  return createHash('sha1').update(`blob ${body.length}\0`).update(body).digest('hex');
}
