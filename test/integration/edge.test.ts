/** The edge with real sockets: pipelining, aborts, slow readers, reuse of connections, and refusals. */
import { once } from 'node:events';
import { Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { patternBytes } from '#test/support/engines.ts';
import { createGate } from '#test/support/gate.ts';
import { http, sha256 } from '#test/support/http.ts';
import { BUCKET, MIB, ORIGIN_BUCKET, startReplicas, type Replicas } from '#test/support/replicas.ts';
import { until } from '#test/support/until.ts';

const BODY = patternBytes(3 * MIB);
const PATH = `/${BUCKET}/a.bin`;
let cache: Replicas;

beforeAll(async () => {
  cache = await startReplicas({ budget: '64Mi' });
  await cache.put('a.bin', BODY);
  await http(edge(), PATH);
  await cache.idle();
});
afterEach(() => cache.expectNothingHeld());
afterAll(() => cache[Symbol.asyncDispose]());

const edge = (): string => cache.all[0]!.edge;

function openSocket(): Socket {
  const { hostname, port } = new URL(edge());
  const socket = connect({ host: hostname, port: Number(port) });
  // A server that closes first resets what a client still sends.
  socket.on('error', () => socket.destroy());
  return socket;
}

function requestText(method: string, target: string, headers: Readonly<Record<string, string>> = {}): string {
  const lines = Object.entries({ host: 'cache', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** All bytes until the other side closes. */
async function readToEnd(socket: Socket): Promise<string> {
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  await once(socket, 'close');
  return Buffer.concat(pieces).toString('latin1');
}

/** Closes the socket after this many bytes. */
async function closeAfter(socket: Socket, lengthBytes: number): Promise<void> {
  let got = 0;
  if (lengthBytes === 0) socket.destroy();
  socket.on('data', (piece) => {
    got += piece.length;
    if (got >= lengthBytes) socket.destroy();
  });
  await once(socket, 'close');
}

describe('connections', () => {
  test('pipelined GETs followed by a close lose no segment, 200 times', async () => {
    for (let round = 0; round < 200; round++) {
      // Out of the store, then out of memory it was not kept in; a fresh fill now and then.
      if (round % 10 === 0) cache.forgetMemory();
      const socket = openSocket();
      socket.write(requestText('GET', PATH).repeat(1 + (round % 4)));
      await closeAfter(socket, round % 3 === 0 ? 1 : round * 2_000);
    }
    await cache.expectNothingHeld();
    expect(sha256((await http(edge(), PATH)).body)).toBe(sha256(BODY));
  });

  test('pipelined GETs are answered in order and whole', async () => {
    const socket = openSocket();
    const ranges = ['bytes=0-9', `bytes=${MIB - 5}-${MIB + 4}`, 'bytes=-10'];
    const texts = ranges.map((range, index) =>
      requestText('GET', PATH, { range, ...(index === 2 && { connection: 'close' }) }),
    );
    socket.write(texts.join(''));
    const answer = await readToEnd(socket);
    const bodies = answer.split(/HTTP\/1\.1 206[^]*?\r\n\r\n/).slice(1);
    expect(bodies.map((body) => Buffer.from(body, 'latin1'))).toEqual([
      BODY.subarray(0, 10),
      BODY.subarray(MIB - 5, MIB + 5),
      BODY.subarray(-10),
    ]);
  });

  test('1000 clients that leave in the middle of a body leak nothing', async () => {
    // What was filled just now comes out of memory, the other object out of the store.
    await cache.put('fresh.bin', BODY);
    await http(edge(), `/${BUCKET}/fresh.bin`);
    await cache.idle();
    const leave = async (round: number): Promise<void> => {
      const socket = openSocket();
      socket.write(requestText('GET', round % 5 === 0 ? PATH : `/${BUCKET}/fresh.bin`));
      await closeAfter(socket, 1 + ((round * 9_973) % 300_000));
    };
    for (let round = 0; round < 1_000; round += 20)
      await Promise.all(Array.from({ length: 20 }, (_, index) => leave(round + index)));
    await cache.expectNothingHeld();
    const { engine } = cache.all[0]!.cache;
    expect(await cache.all[0]!.metric('orca_served_bytes_total', { source: 'memory' })).toBeGreaterThan(0);
    expect(await cache.all[0]!.metric('orca_served_bytes_total', { source: 'store' })).toBeGreaterThan(0);
    expect(engine.flights.count).toBe(0);
    expect(engine.limiter.running).toBe(0);
    expect(engine.memory.waiting('new') + engine.memory.waiting('started')).toBe(0);
  });

  test('clients that leave while their object is being filled leak nothing either', async () => {
    const keys = Array.from({ length: 20 }, (_, index) => `cold-${index}.bin`);
    for (const key of keys) await cache.put(key, patternBytes(2 * MIB, 7));
    await Promise.all(
      keys.map(async (key, index) => {
        const socket = openSocket();
        socket.write(requestText('GET', `/${BUCKET}/${key}`));
        await closeAfter(socket, index % 2 === 0 ? 0 : 100_000);
      }),
    );
    await cache.expectNothingHeld();
    const read = await http(edge(), `/${BUCKET}/cold-0.bin`);
    expect(sha256(read.body)).toBe(sha256(patternBytes(2 * MIB, 7)));
  });

  test('stalled readers slow no other client down, and can resume', async () => {
    const gate = createGate();
    gate.hold();
    const { signal } = new AbortController();
    const slow = Array.from({ length: 4 }, () => http(edge(), PATH, { onHead: () => gate.pass(signal) }));
    await gate.reached(4);
    const quick = await Promise.all(Array.from({ length: 8 }, () => http(edge(), PATH)));
    for (const read of quick) expect(sha256(read.body)).toBe(sha256(BODY));
    gate.release();
    for (const read of await Promise.all(slow)) expect(sha256(read.body)).toBe(sha256(BODY));
  });

  test('one connection serves successive requests of all kinds', async () => {
    let connections = 0;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const open = agent.createConnection.bind(agent);
    agent.createConnection = (options, callback) => {
      connections += 1;
      return open(options, callback);
    };
    const ask = (method: string, target: string, headers: Record<string, string> = {}) =>
      http(edge(), target, { method, headers, agent });
    const { etag = '' } = (await ask('HEAD', PATH)).headers;
    for (let round = 0; round < 5; round++) {
      expect((await ask('GET', PATH)).body).toHaveLength(BODY.length);
      expect((await ask('HEAD', PATH)).status).toBe(200);
      expect((await ask('GET', PATH, { range: 'bytes=5-9' })).status).toBe(206);
      expect((await ask('GET', PATH, { range: 'bytes=99999999-' })).status).toBe(416);
      expect((await ask('GET', PATH, { 'if-none-match': etag })).status).toBe(304);
      expect((await ask('GET', PATH, { 'if-match': '"other"' })).status).toBe(412);
      expect((await ask('GET', `/${BUCKET}/none`)).status).toBe(404);
      expect((await ask('HEAD', `/${BUCKET}/none`)).status).toBe(404);
      expect((await ask('DELETE', PATH)).status).toBe(405);
    }
    agent.destroy();
    expect(connections).toBe(1);
  });

  test('connections above the limit get 503 and are closed, while all others are busy', async () => {
    await using few = await startReplicas({ changes: { 'edge.maxConnections': 2 } });
    const { hostname, port } = new URL(few.all[0]!.edge);
    const open = async (): Promise<Socket> => {
      const socket = connect({ host: hostname, port: Number(port) });
      await once(socket, 'connect');
      return socket;
    };
    const gate = createGate();
    gate.hold();
    few.originProxy.inject({ action: { kind: 'stall', afterBytes: 0, gate }, when: ({ method }) => method === 'HEAD' });
    const kept = [await open(), await open()];
    for (const [index, socket] of kept.entries()) socket.write(requestText('GET', `/${BUCKET}/slow-${index}`));
    await gate.reached(2);
    const third = await readToEnd(await open());
    expect(third).toMatch(/^HTTP\/1\.1 503 /);
    expect(third.toLowerCase()).toContain('retry-after: ');
    for (const socket of kept) socket.destroy();
    gate.release();
    await until(() => kept.every((socket) => socket.closed), 'they are closed');
    expect((await http(few.all[0]!.edge, `/${BUCKET}/none`)).status).not.toBe(0);
  });
});

describe('HEAD', () => {
  const TARGETS: readonly (readonly [string, string, Readonly<Record<string, string>>, number])[] = [
    ['an object', PATH, {}, 200],
    ['a range', PATH, { range: 'bytes=0-99' }, 206],
    ['a range behind the end', PATH, { range: 'bytes=99999999-' }, 416],
    ['a failed condition', PATH, { 'if-match': '"other"' }, 412],
    ['a missing key', `/${BUCKET}/none`, {}, 404],
    ['a missing bucket', '/none/none', {}, 404],
    ['a bucket', `/${BUCKET}`, {}, 200],
    ['a bucket that is not served', '/none', {}, 404],
    ['a sub-resource', `${PATH}?tagging`, {}, 200],
    ['a sub-resource that is not there', `${PATH}?torrent`, {}, 501],
    ['a key that is no UTF-8', `/${BUCKET}/%ff`, {}, 400],
  ];
  test.for(TARGETS)('of %s has a head and no body', async ([, target, headers, status]) => {
    const socket = openSocket();
    socket.write(requestText('HEAD', target, headers) + requestText('GET', '/none', { connection: 'close' }));
    const answer = await readToEnd(socket);
    const end = answer.indexOf('\r\n\r\n');
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    // The very next byte belongs to the next answer.
    expect(answer.slice(end + 4)).toMatch(/^HTTP\/1\.1 404 /);
  });

  test('has the headers of a GET', async () => {
    const head = await http(edge(), PATH, { method: 'HEAD' });
    const get = await http(edge(), PATH);
    const same = ['content-length', 'content-type', 'etag', 'last-modified', 'accept-ranges'];
    for (const name of same) expect(head.headers[name]).toBe(get.headers[name]);
    expect(head.headers['content-length']).toBe(String(BODY.length));
  });
});

describe('what is refused', () => {
  test.for(['PUT', 'POST', 'DELETE', 'PATCH', 'PROPFIND'])('%s is 405 with Allow', async (method) => {
    const body = method === 'PUT' || method === 'POST' ? 'some bytes' : undefined;
    const answer = await http(edge(), PATH, { method, ...(body !== undefined && { body }) });
    expect(answer.status).toBe(405);
    expect(answer.headers.allow).toBe('GET, HEAD');
    expect(answer.body.toString()).toContain('<Code>MethodNotAllowed</Code>');
    expect(sha256((await http(edge(), PATH)).body)).toBe(sha256(BODY));
  });

  test.for(['torrent', 'uploadId=x', 'restore', 'select&select-type=2'])(
    '?%s is 501 and never the object’s bytes',
    async (query) => {
      const answer = await http(edge(), `${PATH}?${query}`);
      expect(answer.status).toBe(501);
      expect(answer.body.toString()).toContain('<Code>NotImplemented</Code>');
      expect(answer.body.length).toBeLessThan(2_000);
    },
  );

  test('an invalid version ID is 400 and never the object’s bytes', async () => {
    const answer = await http(edge(), `${PATH}?versionId=x`);
    expect(answer.status).toBe(400);
    expect(answer.body.toString()).toContain('<Code>InvalidArgument</Code>');
  });

  test.for([ORIGIN_BUCKET, 'chunks', 'other'])('bucket %s is not on the list: 404 NoSuchBucket', async (bucket) => {
    const asked = (await cache.originProxy.counts('HEAD')).requests;
    for (const target of [`/${bucket}/a.bin`, `/${bucket}/../${BUCKET}/a.bin`, `/${bucket}//${BUCKET}/a.bin`]) {
      const answer = await http(edge(), target);
      expect(answer.status).toBe(404);
      expect(answer.body.toString()).toContain('<Code>NoSuchBucket</Code>');
    }
    expect((await cache.originProxy.counts('HEAD')).requests).toBe(asked);
  });

  test('each error names its request, in the header and in the document', async () => {
    const answer = await http(edge(), `/${BUCKET}/none<&>"`.replace('<', '%3C').replace('>', '%3E'));
    expect(answer.status).toBe(404);
    const id = String(answer.headers['x-amz-request-id']);
    expect(answer.body.toString()).toContain(`<RequestId>${id}</RequestId>`);
    expect(answer.body.toString()).toContain('none&lt;&amp;&gt;');
  });
});
