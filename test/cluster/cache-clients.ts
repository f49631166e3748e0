/** Clients outside the pods: they read through the edge Service as SDKs do, retries included, and check every byte. */
import { createHash } from 'node:crypto';
import { Agent, request } from 'node:http';
import { encodePath } from '#cache/core/percent.ts';
import { createSigner } from '#cache/wire/s3/sigv4.ts';
import { BUCKET, KEYS, type World } from './operator-world.ts';

/** As SDKs do by default. */
const ATTEMPTS = 3;
const RETRY_MS = 300;
/** No single response takes longer, even on a busy machine. */
const TIMEOUT_MS = 30_000;

export interface Reading {
  readonly reads: number;
  /** Attempts that failed and were repeated successfully. */
  readonly retried: number;
}

/** Puts an object directly to the origin. */
export async function putObject(world: World, key: string, body: Buffer): Promise<void> {
  await putObjectTo(await serverOf(world), key, body);
}

/** `host:port` of the S3 server. */
export async function serverOf(world: World): Promise<string> {
  return `${await world.field('pod s3', '{.status.podIP}')}:7070`;
}

export async function putObjectTo(host: string, key: string, body: Buffer): Promise<void> {
  const path = `/${BUCKET}/${encodePath(key)}`;
  const headers = createSigner('us-east-1').sign({
    method: 'PUT',
    path,
    headers: { host, 'content-length': String(body.length) },
    credentials: { accessKeyId: KEYS['access-key-id'], secretAccessKey: KEYS['secret-access-key'] },
    nowMs: Date.now(),
  });
  const { status } = await exchange(new Agent(), host, { method: 'PUT', path, headers, body });
  if (status !== 200) throw new Error(`PUT ${path}: ${status}`);
}

/** The address of the edge Service, which is reachable from the host as from any pod. */
export async function edgeOf(world: World, cache: string): Promise<string> {
  return `${await world.field(`service ${cache}`, '{.spec.clusterIP}')}:80`;
}

/** Reads the objects in turn with `workers` workers until `done` settles, each at least once. */
export async function readWhile(
  edge: string,
  objects: ReadonlyMap<string, Buffer>,
  workers: number,
  done: Promise<unknown>,
): Promise<Reading> {
  let running = true;
  const stop = () => {
    running = false;
  };
  done.then(stop, stop);
  let reads = 0;
  let retried = 0;
  const hashes = new Map([...objects].map(([key, body]) => [key, sha256(body)]));
  const worker = async (first: number) => {
    // A separate connection, as a client in another process has. A new one for each read reaches every replica.
    const keys = [...objects.keys()];
    for (let i = first; running || i < first + keys.length; i++) {
      const key = keys[i % keys.length]!;
      const { body, attempts } = await readObject(edge, key);
      if (sha256(body) !== hashes.get(key)) throw new Error(`${key}: ${body.length} wrong bytes`);
      reads++;
      retried += attempts - 1;
    }
  };
  await Promise.all([done, ...Array.from({ length: workers }, (_, i) => worker(i))]);
  return { reads, retried };
}

export async function readObject(edge: string, key: string): Promise<{ body: Buffer; attempts: number }> {
  for (let attempt = 1; ; attempt++) {
    try {
      const { status, body } = await exchange(new Agent(), edge, {
        method: 'GET',
        path: `/${BUCKET}/${encodePath(key)}`,
      });
      if (status === 200) return { body, attempts: attempt };
      throw new Error(`GET ${key}: ${status} ${body.toString('utf8', 0, 300)}`);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS * attempt));
    }
  }
}

/** A counter of one replica, summed over its labels. */
export async function metricOf(podIp: string, name: string): Promise<number> {
  const { body } = await exchange(new Agent(), `${podIp}:8442`, { method: 'GET', path: '/metrics' });
  const lines = body.toString().split('\n');
  const samples = lines.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return samples.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** Samples of one replica that explain why a chunk was fetched twice, for the message of a failed test. */
export async function whyTwice(podIp: string): Promise<string[]> {
  const { body } = await exchange(new Agent(), `${podIp}:8442`, { method: 'GET', path: '/metrics' });
  const telling =
    /^(orca_(fills|source_fallbacks|origin_requests|peer_requests|memory_waiting)|nodejs_eventloop_lag_(max|p99))/;
  return body
    .toString()
    .split('\n')
    .filter((line) => telling.test(line));
}

export interface PeersSeen {
  readonly owners: readonly string[];
  readonly epoch: string;
}

export interface WorkerSeen {
  readonly index: number;
  readonly pid: number | null;
  readonly restarts: number;
  readonly ready: boolean;
}

export async function peersOf(podIp: string): Promise<PeersSeen> {
  return ((await statusOf(podIp)) as { peers: PeersSeen }).peers;
}

export async function workersOf(podIp: string): Promise<readonly WorkerSeen[]> {
  return ((await statusOf(podIp)) as { workers: readonly WorkerSeen[] }).workers;
}

async function statusOf(podIp: string): Promise<unknown> {
  const { body } = await exchange(new Agent(), `${podIp}:8442`, { method: 'GET', path: '/status' });
  return JSON.parse(body.toString());
}

function sha256(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex');
}

interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

/** Rejects if the body is shorter than its Content-Length: a clean short body would be the cache's worst failure. */
function exchange(agent: Agent, host: string, call: Request): Promise<{ status: number; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const { method, path, headers } = call;
    const options = { agent, method, path, headers: { host, ...headers }, signal: AbortSignal.timeout(TIMEOUT_MS) };
    const sent = request(`http://${host}`, options, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const body = Buffer.concat(parts);
        const announced = Number(response.headers['content-length'] ?? body.length);
        if (!response.complete || body.length !== announced) reject(new Error(`${body.length} of ${announced} bytes`));
        else resolve({ status: response.statusCode ?? 0, body });
        agent.destroy();
      });
    });
    sent.on('error', reject);
    sent.end(call.body);
  });
}
