/**
 * The cost of Node.js itself for reads from the store: reads objects, or ranges of them, from a store into a few reused
 * segments, and sends them from there. It verifies nothing, supports one kind of request, and exits at the first error.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { crc32 } from '#cache/core/crc32.ts';

const SEGMENT_BYTES = 1024 * 1024;
const RANGE_BYTES = 8 * SEGMENT_BYTES;
/** Ranges of one object that are read in parallel. */
const RANGES_AHEAD = 2;
/** Limit of the bytes of a response that are written but not yet sent. */
const MAX_UNSENT_BYTES = 4 * SEGMENT_BYTES;
/** Enough for 16 responses with two ranges each. */
const SEGMENTS = 16 * RANGES_AHEAD * (RANGE_BYTES / SEGMENT_BYTES);
/** Large allocations start 16 bytes after a page boundary: see cache/engine/memory/segment-pool.ts. */
const TO_PAGE_BYTES = 4096 - 16;
const SCRATCH_BYTES = 16 * 1024;
const HEAD_END = '\r\n\r\n';
const RANGE = /^bytes=(\d+)-(\d+)$/;

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '' },
    store: { type: 'string', default: '' },
    origin: { type: 'string', default: '' },
    crc: { type: 'boolean', default: false },
    'reuse-port': { type: 'boolean', default: false },
  },
});
const store = new URL(values.store);

const arena = Buffer.allocUnsafeSlow(SEGMENTS * SEGMENT_BYTES + 4096).subarray(TO_PAGE_BYTES);
const free = Array.from({ length: SEGMENTS }, (_, index) =>
  arena.subarray(index * SEGMENT_BYTES, (index + 1) * SEGMENT_BYTES),
);

type Segment = (typeof free)[number];

function takeSegment(): Segment {
  const segment = free.pop();
  if (segment === undefined) throw new Error(`more than ${SEGMENTS} segments are in use`);
  return segment;
}

interface Filled {
  readonly segment: Segment;
  readonly lengthBytes: number;
}

/** One keep-alive connection to the store, and the range that it is reading. */
class Connection {
  readonly #socket: Socket;
  readonly #scratch = Buffer.alloc(SCRATCH_BYTES);
  #onFilled: (filled: Filled) => void = () => {};
  #head = '';
  #inBody = false;
  #left = 0;
  #crc = 0;
  #segment: Segment | undefined;
  #used = 0;
  /** Receives the bytes of the current read; undefined = the scratch memory does. */
  #target: Buffer | undefined;

  constructor() {
    const onread = { buffer: () => this.#nextTarget() ?? this.#scratch, callback: (n: number) => this.#received(n) };
    this.#socket = connect({ port: Number(store.port), host: store.hostname, onread });
    this.#socket.setNoDelay(true);
  }

  read(path: string, from: number, to: number, onFilled: (filled: Filled) => void): void {
    this.#onFilled = onFilled;
    this.#head = '';
    this.#inBody = false;
    this.#left = to - from;
    this.#crc = 0;
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: ${store.host}\r\nRange: bytes=${from}-${to - 1}\r\n\r\n`);
  }

  #nextTarget(): Buffer | undefined {
    this.#target = undefined;
    if (!this.#inBody || this.#left === 0) return undefined;
    this.#segment ??= takeSegment();
    this.#target = this.#segment.subarray(this.#used, Math.min(SEGMENT_BYTES, this.#used + this.#left));
    return this.#target;
  }

  #received(lengthBytes: number): boolean {
    if (this.#target === undefined) this.#receivedHead(this.#scratch.subarray(0, lengthBytes));
    else this.#receivedBody(this.#target.subarray(0, lengthBytes));
    return true;
  }

  #receivedHead(bytes: Buffer): void {
    this.#head += bytes.toString('latin1');
    const end = this.#head.indexOf(HEAD_END);
    if (end < 0) return;
    if (!this.#head.startsWith('HTTP/1.1 206')) throw new Error(this.#head);
    this.#inBody = true;
    const rest = Buffer.from(this.#head.slice(end + HEAD_END.length), 'latin1');
    if (rest.length === 0) return;
    this.#segment = takeSegment();
    rest.copy(this.#segment);
    this.#receivedBody(rest);
  }

  #receivedBody(bytes: Buffer): void {
    if (values.crc) this.#crc = crc32(bytes, this.#crc);
    this.#used += bytes.length;
    this.#left -= bytes.length;
    if (this.#segment === undefined || (this.#used < SEGMENT_BYTES && this.#left > 0)) return;
    const filled = { segment: this.#segment, lengthBytes: this.#used };
    this.#segment = undefined;
    this.#used = 0;
    if (this.#left === 0) idle.push(this);
    this.#onFilled(filled);
  }
}

const idle: Connection[] = [];

/** Sends the bytes in order, while the next ones are being read. */
function send(path: string, from: number, to: number, response: ServerResponse): void {
  const ranges: Filled[][] = [];
  const lengthBytes = to - from;
  let current = 0;
  let sentBytes = 0;
  let unsentBytes = 0;
  const open = (): void => {
    while (ranges.length < current + RANGES_AHEAD && ranges.length * RANGE_BYTES < lengthBytes) {
      const arrived: Filled[] = [];
      const start = from + ranges.push(arrived) * RANGE_BYTES - RANGE_BYTES;
      (idle.pop() ?? new Connection()).read(path, start, Math.min(start + RANGE_BYTES, to), (filled) => {
        arrived.push(filled);
        pump();
      });
    }
  };
  const pump = (): void => {
    for (;;) {
      const filled = unsentBytes < MAX_UNSENT_BYTES ? ranges[current]?.shift() : undefined;
      if (filled === undefined) return;
      const { segment } = filled;
      const bytes = segment.subarray(0, filled.lengthBytes);
      unsentBytes += bytes.length;
      sentBytes += bytes.length;
      const onSent = (): void => {
        free.push(segment);
        unsentBytes -= bytes.length;
        pump();
      };
      if (sentBytes === lengthBytes) {
        response.end(bytes, onSent);
        return;
      }
      response.write(bytes, onSent);
      if (sentBytes % RANGE_BYTES !== 0) continue;
      current++;
      open();
    }
  };
  open();
}

/** One block of headers, which leaves with the first bytes. */
function answer({ url: path = '/', headers }: IncomingMessage, sizeBytes: number, response: ServerResponse): void {
  const [, first, last] = RANGE.exec(headers.range ?? '') ?? [];
  if (first === undefined) {
    response.writeHead(200, ['Content-Length', String(sizeBytes)]);
    send(path, 0, sizeBytes, response);
    return;
  }
  const from = Number(first);
  const to = Number(last) + 1;
  response.writeHead(206, ['Content-Length', String(to - from), 'Content-Range', `bytes ${from}-${last}/${sizeBytes}`]);
  send(path, from, to, response);
}

/** Copies an object from the origin to the store; resolves to its size. */
async function copyToStore(path: string): Promise<number> {
  const response = await fetch(new URL(path, values.origin));
  const body = await response.arrayBuffer();
  const put = await fetch(new URL(path, store), { method: 'PUT', body });
  if (!response.ok || !put.ok)
    throw new Error(`${path}: ${response.status} from the origin, ${put.status} from the store`);
  return body.byteLength;
}

const sizes = new Map<string, Promise<number>>();

createServer((request, response) => {
  const path = request.url ?? '/';
  if (path === '/-/ready') {
    response.writeHead(204).end();
    return;
  }
  const size = sizes.get(path) ?? copyToStore(path);
  sizes.set(path, size);
  void size.then((sizeBytes) => answer(request, sizeBytes, response));
}).listen({ port: Number(values.port), host: '127.0.0.1', reusePort: values['reuse-port'] });
