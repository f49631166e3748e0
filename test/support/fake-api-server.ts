/**
 * A Kubernetes API server for tests: real HTTP on loopback, any resource, list with pages, watch with replay, create,
 * update, the patches, status, delete. Tests inject faults, which happen on the wire.
 */
import { createServer, Agent, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { parse as parseYaml } from 'yaml';
import type { Clock } from '#shared/clock.ts';
import { openKubeClient, type KubeClient } from '#shared/kube/client.ts';
import type { ApiServer } from '#shared/kube/api-request.ts';
import type { KubeObject } from '#shared/kube/types.ts';
import {
  ApplyConflict,
  applyPatch,
  isObject,
  jsonPatch,
  mergePatch,
  strategicMergePatch,
  type Json,
  type JsonObject,
  type JsonPatchOperation,
} from './fake-apply.ts';
import {
  ApiRefusal,
  fieldMatcher,
  idOf,
  labelMatcher,
  openStore,
  parsePath,
  type Change,
  type ResourcePath,
  type WriteOptions,
} from './fake-api-store.ts';

export { ApiRefusal } from './fake-api-store.ts';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly contentType: string;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

export interface Fault {
  readonly method?: string;
  /** Matches the path without query. */
  readonly path?: RegExp;
  /** True: only watches; false: all requests but watches. Default: all requests. */
  readonly watch?: boolean;
  /** The number of requests that it affects; default: no limit. */
  readonly times?: number;
  /** A status to respond with; `reset` closes the connection, `hang` never responds. */
  readonly answer:
    | { readonly status: number; readonly reason?: string; readonly retryAfterSeconds?: number }
    | 'reset'
    | 'hang';
}

export interface FakeApiServerOptions {
  /** Kinds whose plural is not the kind in lower case with an `s`. */
  readonly kinds?: Readonly<Record<string, string>>;
  /** Defaulting and validation before each write is stored: mutate a copy and return it, or throw ApiRefusal. */
  readonly admit?: (object: KubeObject, path: string) => KubeObject;
  /** Whether objects without owners are deleted right after each delete. */
  readonly collectGarbage?: boolean;
  readonly now?: () => number;
}

/** Paths are full API paths, with namespace and name: `/api/v1/namespaces/ml/configmaps/a`. */
export interface FakeApiServer extends AsyncDisposable {
  readonly server: ApiServer;
  client(clock?: Clock): KubeClient;
  /** Everything received, in order. */
  readonly requests: readonly SeenRequest[];
  /** Received requests that could have changed something. */
  writes(): readonly SeenRequest[];
  /** Direct access to the state, without HTTP and faults. */
  get(path: string): KubeObject | undefined;
  list(path: string): KubeObject[];
  /** Creates or replaces, status included. */
  put(path: string, object: object): KubeObject;
  delete(path: string): void;
  collectGarbage(): number;
  /** Called with each request before it is processed, so that a test can act between a read and the write after it. */
  onRequest(listener: (request: SeenRequest) => void): void;
  /** Returns the cancel function. */
  fail(fault: Fault): () => void;
  /** Forgets old changes: watches that start before them get 410. */
  compact(): void;
  readonly watches: {
    count(): number;
    bookmark(): void;
    /** Ends the responses without an error. */
    end(): void;
    reset(): void;
    /** Sends 410 as an ERROR event, and ends the responses. */
    expire(): void;
    /** Keeps watches open without sending a byte; the events of that time are lost. */
    silence(on: boolean): void;
  };
  sockets(): number;
  close(): Promise<void>;
}

interface Watch {
  readonly path: ResourcePath;
  readonly matches: (object: KubeObject) => boolean;
  readonly response: ServerResponse;
  readonly bookmarks: boolean;
  readonly end: () => void;
}

const KINDS: Readonly<Record<string, string>> = {
  configmaps: 'ConfigMap',
  deployments: 'Deployment',
  endpointslices: 'EndpointSlice',
  networkpolicies: 'NetworkPolicy',
  orcacaches: 'OrcaCache',
  orcaprewarms: 'OrcaPrewarm',
  poddisruptionbudgets: 'PodDisruptionBudget',
  replicasets: 'ReplicaSet',
  rolebindings: 'RoleBinding',
  serviceaccounts: 'ServiceAccount',
};
const TEST_MANAGER = 'test';
/** More objects than any test has. */
const NO_LIMIT = 1_000_000;

/** Our client writes JSON, also where the content type allows YAML; parsing that as YAML would be ten times slower. */
function parseBody(text: string, contentType: string): unknown {
  return contentType.includes('yaml') && !text.startsWith('{') ? parseYaml(text) : JSON.parse(text);
}

export async function openFakeApiServer(options: FakeApiServerOptions = {}): Promise<FakeApiServer> {
  const kinds = { ...KINDS, ...options.kinds };
  const kindOf = (plural: string): string =>
    kinds[plural] ?? plural.charAt(0).toUpperCase() + plural.slice(1).replace(/s$/, '');
  const store = openStore(kindOf, options.now ?? (() => Date.now()));
  const requests: SeenRequest[] = [];
  const faults = new Set<{ readonly fault: Fault; left: number }>();
  const watches = new Set<Watch>();
  const sockets = new Set<Socket>();
  const listeners: ((request: SeenRequest) => void)[] = [];
  let silent = false;

  const http = createServer((request, response) => {
    void handle(request, response).catch((error: unknown) => refuse(response, error));
  });
  http.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    http.listen(0, '127.0.0.1', resolve);
  });
  const { port } = http.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://api');
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const text = Buffer.concat(parts).toString('utf8');
    const contentType = request.headers['content-type'] ?? '';
    const method = request.method ?? 'GET';
    const seen: SeenRequest = {
      method,
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      contentType,
      authorization: request.headers.authorization,
      body: text === '' ? undefined : parseBody(text, contentType),
    };
    requests.push(seen);
    for (const listener of listeners) listener(seen);
    const watching = url.searchParams.get('watch') === 'true';
    const fault = takeFault(seen, watching);
    if (fault === 'hang') return;
    if (fault === 'reset') return void request.socket.destroy();
    if (fault !== undefined) {
      const { status, reason = '', retryAfterSeconds } = fault;
      if (retryAfterSeconds !== undefined) response.setHeader('retry-after', String(retryAfterSeconds));
      throw new ApiRefusal(status, reason, 'injected by the test');
    }
    const path = parsePath(url.pathname);
    if (path === undefined) throw new ApiRefusal(404, 'NotFound', 'the server could not find the requested resource');
    if (watching) watch(path, url.searchParams, response);
    else if (method === 'GET')
      answer(response, 200, path.name === undefined ? page(path, url.searchParams) : one(path));
    else write(path, seen, response);
  }

  function takeFault(seen: SeenRequest, watching: boolean): Fault['answer'] | undefined {
    for (const entry of faults) {
      const { fault } = entry;
      if (fault.method !== undefined && fault.method !== seen.method) continue;
      if (fault.path !== undefined && !fault.path.test(seen.path)) continue;
      if (fault.watch !== undefined && fault.watch !== watching) continue;
      entry.left -= 1;
      if (entry.left <= 0) faults.delete(entry);
      return fault.answer;
    }
    return undefined;
  }

  function one(path: ResourcePath): KubeObject {
    const object = store.get(path);
    if (object === undefined) throw new ApiRefusal(404, 'NotFound', `${path.plural} "${path.name}" not found`);
    return object;
  }

  function page(path: ResourcePath, query: URLSearchParams): unknown {
    const matches = matcher(query);
    // A token consists of the version of the first page and the last object sent, as with etcd.
    const token = query.get('continue') ?? '';
    const [version = String(store.version()), after = ''] = token === '' ? [] : token.split(' ');
    if (token !== '' && store.changesSince(Number(version)) === undefined)
      throw new ApiRefusal(410, 'Expired', 'The provided continue parameter is too old');
    const all = store.list(path).filter((object) => matches(object) && idOf(object).localeCompare(after) > 0);
    const limit = Number(query.get('limit') ?? 0) || NO_LIMIT;
    const items = all.slice(0, limit).map(({ apiVersion: _a, kind: _k, ...item }) => item);
    const last = all[limit - 1];
    const more = all.length > limit && last !== undefined ? { continue: `${version} ${idOf(last)}` } : {};
    return {
      kind: `${kindOf(path.plural)}List`,
      apiVersion: path.apiVersion,
      metadata: { resourceVersion: version, ...more },
      items,
    };
  }

  function matcher(query: URLSearchParams): (object: KubeObject) => boolean {
    const byLabel = labelMatcher(query.get('labelSelector'));
    const byField = fieldMatcher(query.get('fieldSelector'));
    return (object) => byLabel(object) && byField(object);
  }

  function watch(path: ResourcePath, query: URLSearchParams, response: ServerResponse): void {
    const from = query.get('resourceVersion') ?? '';
    const missed = store.changesSince(from === '' ? store.version() : Number(from));
    if (missed === undefined) throw new ApiRefusal(410, 'Expired', `too old resource version: ${from}`);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const seconds = Number(query.get('timeoutSeconds') ?? 0);
    const timer = seconds > 0 ? setTimeout(() => opened.end(), seconds * 1000) : undefined;
    const opened: Watch = {
      path,
      matches: matcher(query),
      response,
      bookmarks: query.get('allowWatchBookmarks') === 'true',
      end: () => response.end(),
    };
    watches.add(opened);
    response.once('close', () => {
      clearTimeout(timer);
      watches.delete(opened);
    });
    for (const change of missed) deliver(opened, change);
  }

  /** An object that begins to match a selector is ADDED; one that no longer matches is DELETED. */
  function deliver(to: Watch, change: Change): void {
    const { path } = to;
    if (silent || change.collection !== path.collection) return;
    const { object, before } = change;
    if (path.namespace !== undefined && object.metadata.namespace !== path.namespace) return;
    if (path.name !== undefined && object.metadata.name !== path.name) return;
    const was = before !== undefined && to.matches(before);
    const is = change.type !== 'DELETED' && to.matches(object);
    if (!was && !is) return;
    send(to, { type: was && is ? 'MODIFIED' : is ? 'ADDED' : 'DELETED', object });
  }
  const unsubscribe = store.onChange((change) => {
    for (const each of watches) deliver(each, change);
  });

  function send(to: Watch, event: unknown): void {
    // The watch has ended, but the client has not noticed yet.
    if (to.response.writableEnded) return;
    to.response.write(`${JSON.stringify(event)}\n`);
  }

  function write(path: ResourcePath, seen: SeenRequest, response: ServerResponse): void {
    const manager = seen.query['fieldManager'] ?? 'unknown';
    const writeOptions: WriteOptions = { manager, dryRun: seen.query['dryRun'] === 'All' };
    const body = isObject(seen.body) ? seen.body : {};
    const admitted = (object: JsonObject): JsonObject => admit(object, seen.path);
    switch (seen.method) {
      case 'POST': {
        if (path.name !== undefined) throw new ApiRefusal(405, 'MethodNotAllowed', 'create posts to the collection');
        return answer(response, 201, store.create(path, admitted(body), writeOptions));
      }
      case 'PUT':
        return answer(
          response,
          200,
          store.update(path, () => admitted(body), writeOptions),
        );
      case 'PATCH': {
        if (seen.contentType.startsWith('application/apply-patch')) return apply(path, seen, response);
        const change = patchOf(seen);
        return answer(
          response,
          200,
          store.update(path, (live) => admitted(change(live)), writeOptions),
        );
      }
      case 'DELETE': {
        const preconditions = isObject(body['preconditions']) ? body['preconditions'] : {};
        const removed = store.remove(path, preconditions);
        if (options.collectGarbage === true) store.collectGarbage();
        return answer(response, 200, removed);
      }
      default:
        throw new ApiRefusal(405, 'MethodNotAllowed', `${seen.method} is not allowed`);
    }
  }

  function patchOf(seen: SeenRequest): (live: JsonObject) => JsonObject {
    if (seen.contentType.startsWith('application/merge-patch'))
      return (live) => mergePatch(live, seen.body as Json) as JsonObject;
    if (seen.contentType.startsWith('application/strategic-merge-patch'))
      return (live) => strategicMergePatch(live, seen.body as JsonObject);
    if (seen.contentType.startsWith('application/json-patch'))
      return (live) => {
        try {
          return jsonPatch(live, seen.body as JsonPatchOperation[]);
        } catch (error) {
          throw new ApiRefusal(422, 'Invalid', `the server rejected our request due to an error: ${String(error)}`);
        }
      };
    throw new ApiRefusal(415, 'UnsupportedMediaType', `the fake has no patch of type ${seen.contentType}`);
  }

  function apply(path: ResourcePath, seen: SeenRequest, response: ServerResponse): void {
    const { fieldManager, force } = seen.query;
    if (fieldManager === undefined) throw new ApiRefusal(400, 'BadRequest', 'fieldManager is required for apply patch');
    const applied = isObject(seen.body) ? seen.body : {};
    if (applied['apiVersion'] !== path.apiVersion || typeof applied['kind'] !== 'string')
      throw new ApiRefusal(400, 'BadRequest', `apply needs apiVersion ${path.apiVersion} and kind in its body`);
    const writeOptions: WriteOptions = { manager: fieldManager, applied: true, dryRun: seen.query['dryRun'] === 'All' };
    const merge = (live: JsonObject): JsonObject =>
      applyPatch({ live, applied, manager: fieldManager, force: force === 'true', subresource: path.subresource });
    try {
      if (store.get(path) === undefined) {
        if (path.subresource !== undefined)
          throw new ApiRefusal(404, 'NotFound', `${path.plural} "${path.name}" not found`);
        const metadata = isObject(applied['metadata']) ? applied['metadata'] : {};
        if (metadata['uid'] !== undefined)
          throw new ApiRefusal(
            409,
            'Conflict',
            `uid mismatch: the provided object specified a uid, and no existing object was found`,
          );
        const bare = { apiVersion: path.apiVersion, kind: applied['kind'], metadata: { name: path.name ?? '' } };
        return answer(response, 201, store.create(path, admit(merge(bare), seen.path), writeOptions));
      }
      const metadata = isObject(applied['metadata']) ? applied['metadata'] : {};
      const guarded = (live: JsonObject): JsonObject => {
        const result = admit(merge(live), seen.path);
        const { uid, resourceVersion } = metadata;
        const merged = result['metadata'] as JsonObject;
        return {
          ...result,
          metadata: {
            ...merged,
            ...(uid === undefined ? {} : { uid }),
            ...(resourceVersion === undefined ? {} : { resourceVersion }),
          },
        };
      };
      answer(response, 200, store.update(path, guarded, writeOptions));
    } catch (error) {
      if (!(error instanceof ApplyConflict)) throw error;
      const causes = error.fields.map((field) => ({
        reason: 'FieldManagerConflict',
        message: `conflict with "${error.manager}"`,
        field,
      }));
      throw new ApiRefusal(409, 'Conflict', error.message, { causes });
    }
  }

  function admit(object: JsonObject, path: string): JsonObject {
    if (options.admit === undefined) return object;
    return options.admit(structuredClone(object) as unknown as KubeObject, path) as unknown as JsonObject;
  }

  const at = (path: string): ResourcePath => {
    const parsed = parsePath(path);
    if (parsed === undefined) throw new Error(`not an API path: ${path}`);
    return parsed;
  };
  const server: ApiServer = {
    url: new URL(`http://127.0.0.1:${port}`),
    namespace: undefined,
    authorize: async () => ({ headers: {}, agent }),
    forget() {},
  };

  const self: FakeApiServer = {
    server,
    client: (clock) => openKubeClient(server, clock === undefined ? {} : { clock }),
    requests,
    writes: () => requests.filter((request) => request.method !== 'GET'),
    get: (path) => store.get(at(path)),
    list: (path) => store.list(at(path)),
    put(path, object) {
      const where = at(path);
      const body = structuredClone(object) as JsonObject;
      const { status, ...rest } = body;
      if (store.get(where) === undefined) {
        const { name: _from, ...collection } = where;
        store.create(
          { ...collection, name: undefined },
          { ...rest, metadata: { ...(rest['metadata'] as JsonObject | undefined), name: where.name ?? '' } },
          { manager: TEST_MANAGER },
        );
      } else {
        // Replaces the fields of the test, and none that the server maintains.
        store.update(
          where,
          (live) => ({
            ...live,
            ...rest,
            metadata: { ...(live['metadata'] as JsonObject), ...(rest['metadata'] as JsonObject | undefined) },
          }),
          { manager: TEST_MANAGER },
        );
      }
      if (status !== undefined)
        store.update({ ...where, subresource: 'status' }, (live) => ({ ...live, status }), { manager: TEST_MANAGER });
      return one(where);
    },
    delete(path) {
      store.remove(at(path));
      if (options.collectGarbage === true) store.collectGarbage();
    },
    collectGarbage: () => store.collectGarbage(),
    onRequest: (listener) => void listeners.push(listener),
    fail(fault) {
      const entry = { fault, left: fault.times ?? Number.POSITIVE_INFINITY };
      faults.add(entry);
      return () => faults.delete(entry);
    },
    compact: () => store.compact(),
    watches: {
      count: () => watches.size,
      bookmark() {
        if (silent) return;
        for (const each of watches)
          if (each.bookmarks)
            send(each, {
              type: 'BOOKMARK',
              object: {
                kind: kindOf(each.path.plural),
                apiVersion: each.path.apiVersion,
                metadata: { resourceVersion: String(store.version()), creationTimestamp: null },
              },
            });
      },
      end() {
        for (const each of watches) each.end();
      },
      reset() {
        for (const each of watches) each.response.socket?.destroy();
      },
      expire() {
        for (const each of watches) {
          send(each, {
            type: 'ERROR',
            object: {
              kind: 'Status',
              status: 'Failure',
              reason: 'Expired',
              code: 410,
              message: 'too old resource version',
            },
          });
          each.end();
        }
      },
      silence(on) {
        silent = on;
      },
    },
    sockets: () => sockets.size,
    async close() {
      unsubscribe();
      agent.destroy();
      const closed = new Promise<void>((resolve) => {
        http.close(() => resolve());
      });
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    async [Symbol.asyncDispose]() {
      await self.close();
    },
  };
  return self;
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) });
  response.end(text);
}

function refuse(response: ServerResponse, error: unknown): void {
  const refusal = error instanceof ApiRefusal ? error : new ApiRefusal(500, 'InternalError', String(error));
  answer(response, refusal.status, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: refusal.message,
    reason: refusal.reason,
    ...(refusal.details === undefined ? {} : { details: refusal.details }),
    code: refusal.status,
  });
}
