/**
 * The cost of Node.js itself for reads from memory: an HTTP server that keeps whole objects in memory, and answers
 * each request with one block of headers and one write. It exits at the first error.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { parseArgs } from 'node:util';

const RANGE = /^bytes=(\d+)-(\d+)$/;

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '' },
    origin: { type: 'string', default: '' },
    'reuse-port': { type: 'boolean', default: false },
  },
});

const loading = new Map<string, Promise<Buffer>>();
const objects = new Map<string, Buffer>();

async function load(path: string): Promise<Buffer> {
  const response = await fetch(new URL(path, values.origin));
  if (!response.ok) throw new Error(`${path}: ${response.status} from the origin`);
  const bytes = Buffer.from(await response.arrayBuffer());
  objects.set(path, bytes);
  return bytes;
}

function send(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
  const [, from, last] = RANGE.exec(request.headers.range ?? '') ?? [];
  if (from === undefined) {
    response.writeHead(200, ['Content-Length', String(bytes.length)]);
    response.end(bytes);
    return;
  }
  const part = bytes.subarray(Number(from), Number(last) + 1);
  const headers = ['Content-Length', String(part.length), 'Content-Range', `bytes ${from}-${last}/${bytes.length}`];
  response.writeHead(206, headers);
  response.end(part);
}

createServer((request, response) => {
  const path = request.url ?? '/';
  if (path === '/-/ready') {
    response.writeHead(204).end();
    return;
  }
  const bytes = objects.get(path);
  if (bytes !== undefined) return send(request, response, bytes);
  const loaded = loading.get(path) ?? load(path);
  loading.set(path, loaded);
  void loaded.then((all) => send(request, response, all));
}).listen({ port: Number(values.port), host: '127.0.0.1', reusePort: values['reuse-port'] });
