/**
 * A plain HTTP file server for pods, and the objects that run it. Files are generated from their names, with strong
 * ETags and single ranges. Names under `moved/` are redirected to the host in MOVED_TO.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export const FILES_PORT = 8080;
const USER = 10_001;
/** `NAME-SIZE`, where the size is in bytes. */
const FILE = /^\/models\/(?<moved>moved\/)?(?<name>[a-z]+-(?<size>\d{1,9}))$/;

/** The content of the file `NAME-SIZE`. */
export function contentOf(name: string): Buffer {
  const sizeBytes = Number(name.split('-')[1]);
  const seed = createHash('sha512').update(name).digest();
  const content = Buffer.alloc(sizeBytes, seed);
  // So that no two chunks are equal.
  for (let at = 0; at + 4 <= sizeBytes; at += 4096) content.writeUInt32LE(at, at);
  return content;
}

function serve(request: IncomingMessage, response: ServerResponse): void {
  const found = FILE.exec(new URL(request.url ?? '', 'http://files').pathname)?.groups;
  const name = found?.['name'];
  if (name === undefined) {
    response.writeHead(404).end();
    return;
  }
  if (found?.['moved'] !== undefined) {
    response.writeHead(302, { location: `http://${process.env['MOVED_TO']}/models/${name}?signature=x` }).end();
    return;
  }
  const content = contentOf(name);
  const etag = `"${createHash('sha256').update(content).digest('hex')}"`;
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  const [from, to] = range === null ? [0, content.length] : [Number(range[1]), Number(range[2]) + 1];
  response.writeHead(range === null ? 200 : 206, {
    etag: etag,
    'content-type': 'application/x-test',
    'content-length': to - from,
    ...(range !== null && { 'content-range': `bytes ${from}-${to - 1}/${content.length}` }),
  });
  response.end(request.method === 'HEAD' ? undefined : content.subarray(from, to));
}

/** The server as the Services `files`, and `files-cdn` for redirects. */
export function fileServer(): object[] {
  const labels = { app: 'files' };
  const service = (name: string) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: labels, ports: [{ port: FILES_PORT }] },
  });
  return [
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'files' },
      data: { 'file-server.ts': readFileSync(import.meta.filename, 'utf8') },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'files', labels },
      spec: {
        terminationGracePeriodSeconds: 1,
        securityContext: { runAsNonRoot: true, runAsUser: USER, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          {
            name: 'files',
            image: 'orcacache/support:dev',
            imagePullPolicy: 'IfNotPresent',
            command: ['node', '/files/file-server.ts'],
            env: [{ name: 'MOVED_TO', value: `files-cdn:${FILES_PORT}` }],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
            readinessProbe: { tcpSocket: { port: FILES_PORT }, periodSeconds: 1 },
            volumeMounts: [{ name: 'files', mountPath: '/files' }],
          },
        ],
        volumes: [{ name: 'files', configMap: { name: 'files' } }],
      },
    },
    service('files'),
    service('files-cdn'),
  ];
}

if (import.meta.main) createServer(serve).listen(FILES_PORT);
