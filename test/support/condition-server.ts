/**
 * A small S3-like server in memory on loopback, for the ways in which real servers treat `If-None-Match: *`: atomic, racy,
 * ignored, unknown, or with conflicts. It loses ranges or metadata on request, and checks no signature.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type ConditionKind =
  | 'atomic'
  /** Looks when the request comes, writes when its body is there. */
  | 'racy'
  /** 200, whatever is stored. */
  | 'ignored'
  /** 501. */
  | 'unsupported'
  /** 409 to every conditional write. */
  | 'conflicting'
  /** One winner; all other writes get 409, also later. */
  | 'conflicts for losers'
  /** 409 during another write, otherwise atomic: as AWS does. */
  | 'busy'
  /** One write gets 200, all others 412; but the last body is stored. */
  | 'overwriting';

export interface ConditionServerOptions {
  readonly kind: ConditionKind;
  readonly lacks?: 'ranges' | 'metadata' | 'deletion' | 'lists';
  /** Of GetBucketVersioning. */
  readonly versioning?: 'Enabled' | 'none' | 'unknown' | 'refused';
}

export interface ConditionServer extends AsyncDisposable {
  readonly endpoint: string;
  /** By path. */
  readonly objects: ReadonlyMap<string, unknown>;
  /** `METHOD /path`, with ` if absent` where a PUT was conditional, in the order they came. */
  readonly requests: readonly string[];
  /** The most writes that were under way at once. */
  readonly mostWriters: number;
}

interface Stored {
  readonly body: Buffer;
  readonly metadata: Readonly<Record<string, string>>;
}

export async function startConditionServer(options: ConditionServerOptions): Promise<ConditionServer> {
  const { kind, lacks, versioning = 'none' } = options;
  const objects = new Map<string, Stored>();
  const taken = new Set<string>();
  const requests: string[] = [];
  let writers = 0;
  let mostWriters = 0;

  const put = async (request: IncomingMessage, path: string): Promise<number> => {
    const isConditional = request.headers['if-none-match'] === '*';
    const wasThere = objects.has(path);
    const isBusy = taken.has(path) && !wasThere;
    taken.add(path);
    writers += 1;
    mostWriters = Math.max(mostWriters, writers);
    const body = await bodyOf(request);
    writers -= 1;
    const metadata: Record<string, string> = {};
    for (const [name, value] of Object.entries(request.headers))
      if (name.startsWith('x-amz-meta-') && lacks !== 'metadata') metadata[name] = String(value);
    const store = (): number => {
      objects.set(path, { body, metadata });
      return 200;
    };
    if (!isConditional) return store();
    const isThere = objects.has(path);
    switch (kind) {
      case 'atomic':
        return isThere ? 412 : store();
      case 'racy':
        return wasThere ? 412 : store();
      case 'ignored':
        return store();
      case 'unsupported':
        return 501;
      case 'conflicting':
        return 409;
      case 'conflicts for losers':
        return isThere ? 409 : store();
      case 'busy':
        if (isBusy) return 409;
        return isThere ? 412 : store();
      case 'overwriting':
        store();
        return isThere ? 412 : 200;
    }
  };

  const get = (request: IncomingMessage, response: ServerResponse, path: string): void => {
    const stored = objects.get(path);
    if (stored === undefined) {
      response.writeHead(404, { 'content-length': 0 }).end();
      return;
    }
    const { body, metadata } = stored;
    const [, from, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const isRange = from !== undefined && lacks !== 'ranges';
    const part = isRange ? body.subarray(Number(from), Number(last) + 1) : body;
    response.writeHead(isRange ? 206 : 200, {
      ...metadata,
      etag: '"stored"',
      'content-length': part.length,
      ...(isRange && { 'content-range': `bytes ${from}-${last}/${body.length}` }),
    });
    response.end(request.method === 'HEAD' ? undefined : part);
  };

  const answerVersioning = (response: ServerResponse): void => {
    const status = { Enabled: 200, none: 200, unknown: 501, refused: 403 }[versioning];
    const state = versioning === 'Enabled' ? '<Status>Enabled</Status>' : '';
    response.writeHead(status).end(`<VersioningConfiguration>${state}</VersioningConfiguration>`);
  };

  const answerList = (response: ServerResponse, prefix: string): void => {
    const names = [...objects.keys()]
      .map((path) => path.slice('/chunks/'.length))
      .filter((name) => name.startsWith(prefix));
    const contents = names.map(
      (name) =>
        `<Contents><Key>${name}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>1</Size></Contents>`,
    );
    const body = `<ListBucketResult><IsTruncated>false</IsTruncated>${contents.join('')}</ListBucketResult>`;
    if (lacks === 'lists') response.writeHead(403).end();
    else response.writeHead(200, { 'content-length': body.length }).end(body);
  };

  const server = createServer((request, response) => {
    const [path = '', query] = (request.url ?? '').split('?');
    const isConditional = request.headers['if-none-match'] !== undefined;
    requests.push(`${request.method ?? ''} ${path}${isConditional ? ' if absent' : ''}`);
    const listed = new URLSearchParams(query).get('prefix');
    if (listed !== null) answerList(response, listed);
    else if (query !== undefined) answerVersioning(response);
    else if (request.method === 'PUT')
      put(request, path).then(
        (status) => response.writeHead(status, { 'content-length': 0 }).end(),
        () => response.destroy(),
      );
    else if (request.method === 'DELETE') {
      if (lacks !== 'deletion') objects.delete(path);
      response.writeHead(lacks === 'deletion' ? 403 : 204).end();
    } else get(request, response, path);
  });
  server.listen(0, '127.0.0.1');
  await new Promise<void>((resolve) => server.once('listening', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    requests,
    get mostWriters() {
      return mostWriters;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
