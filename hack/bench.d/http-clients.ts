/**
 * The CPU time of a GET with different HTTP clients, for docs/adr/0020-own-http-client.md: a small object, and 64 MiB
 * that have to end in memory which the caller owns. The server is another process.
 *
 *   node hack/bench.d/http-clients.ts
 */
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ByteSink } from '#cache/engine/ports.ts';
import { openRawClient } from '#cache/wire/http1/raw-client.ts';

const KIB = 1024;
const LARGE_BYTES = 64 * KIB * KIB;
const CASES = [
  { name: '4 KiB', lengthBytes: 4 * KIB, requests: 3_000 },
  { name: '64 MiB', lengthBytes: LARGE_BYTES, requests: 24 },
] as const;
const WARM_UP_SHARE = 1 / 4;

type Client = (lengthBytes: number, into: Uint8Array) => Promise<void>;

if (process.argv[2] === 'serve') serve();
else await measure();

function serve(): void {
  const body = Buffer.alloc(LARGE_BYTES, 1);
  const server = createServer((request, response) => {
    const lengthBytes = Number((request.url ?? '').split('?', 1)[0]?.split('/').at(-1));
    response.writeHead(200, { 'Content-Length': lengthBytes, ETag: '"1"' }).end(body.subarray(0, lengthBytes));
  });
  server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
}

async function measure(): Promise<void> {
  const server = spawn(process.execPath, [import.meta.filename, 'serve'], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [port] = (await once(server.stdout, 'data')) as [Buffer];
    const clients = openClients(`http://127.0.0.1:${String(port).trim()}`);
    const into = Buffer.alloc(LARGE_BYTES);
    for (const { name, lengthBytes, requests } of CASES)
      for (const [client, request] of Object.entries(clients)) {
        await repeat(Math.ceil(requests * WARM_UP_SHARE), () => request(lengthBytes, into));
        const before = process.cpuUsage();
        await repeat(requests, () => request(lengthBytes, into));
        const { user, system } = process.cpuUsage(before);
        const perRequestUs = (user + system) / requests;
        const perGib = (perRequestUs * 1024 * KIB * KIB) / lengthBytes / 1e6;
        const cost = lengthBytes === LARGE_BYTES ? `${perGib.toFixed(2)} s/GiB` : `${perRequestUs.toFixed(0)} µs`;
        console.log(`${name.padEnd(7)} ${client.padEnd(14)} ${cost}`);
      }
  } finally {
    server.kill();
  }
  process.exit();
}

async function repeat(count: number, call: () => Promise<void>): Promise<void> {
  for (let number = 0; number < count; number++) await call();
}

/** Each copies the body into `into`, or reads it there without a copy if it can. */
function openClients(endpoint: string): Readonly<Record<string, Client>> {
  const raw = openRawClient({ endpoint });
  const agent = new Agent({ keepAlive: true });
  const s3 = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
  });
  const { signal } = new AbortController();
  return {
    'cache/wire': async (lengthBytes, into) => {
      await raw.request({ path: `/bucket/${lengthBytes}`, headers: {}, sink: sinkInto(into), signal });
    },
    'node:http': async (lengthBytes, into) => {
      const [response] = (await once(get(`${endpoint}/bucket/${lengthBytes}`, { agent }), 'response')) as [
        IncomingMessage,
      ];
      await copyEvents(response, into);
    },
    fetch: async (lengthBytes, into) => {
      const { body } = await fetch(`${endpoint}/bucket/${lengthBytes}`);
      if (body === null) throw new Error('the response has no body');
      await copyAll(body, into);
    },
    'AWS SDK': async (lengthBytes, into) => {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'bucket', Key: String(lengthBytes) }));
      await copyEvents(Body as IncomingMessage, into);
    },
  };
}

function sinkInto(into: Uint8Array): ByteSink {
  let at = 0;
  return {
    space: () => into.subarray(at),
    filled: (lengthBytes) => (at += lengthBytes),
    onSpace: () => {},
  };
}

/** The fastest way to read Node's own stream. */
async function copyEvents(response: IncomingMessage, into: Uint8Array): Promise<void> {
  let at = 0;
  response.on('data', (chunk: Uint8Array) => {
    into.set(chunk, at);
    at += chunk.length;
  });
  await once(response, 'end');
}

async function copyAll(chunks: AsyncIterable<Uint8Array>, into: Uint8Array): Promise<void> {
  let at = 0;
  for await (const chunk of chunks) {
    into.set(chunk, at);
    at += chunk.length;
  }
}
