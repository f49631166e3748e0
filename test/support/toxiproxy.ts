/**
 * A real toxiproxy on loopback: TCP links whose bytes are delayed, throttled, sliced, cut off, reset or dropped, without
 * changes to servers and clients.
 */
import { freePort } from '#hack/lab/free-ports.ts';
import { startServerProcess } from './server-process.ts';
import { findTool } from './tools.ts';

/** A toxic of toxiproxy, with the names and units of its attributes. */
export type Toxic =
  /** Milliseconds. */
  | { readonly type: 'latency'; readonly latency: number; readonly jitter: number }
  /** KB/s. */
  | { readonly type: 'bandwidth'; readonly rate: number }
  /** The end of a connection is delayed by `delay` milliseconds. */
  | { readonly type: 'slow_close'; readonly delay: number }
  /** Nothing passes; after `timeout` milliseconds the connection ends, with 0 never. */
  | { readonly type: 'timeout'; readonly timeout: number }
  /** A reset after `timeout` milliseconds. */
  | { readonly type: 'reset_peer'; readonly timeout: number }
  /** Each connection ends after `bytes` bytes. */
  | { readonly type: 'limit_data'; readonly bytes: number }
  /** Bytes; microseconds between slices. */
  | { readonly type: 'slicer'; readonly average_size: number; readonly size_variation: number; readonly delay: number };

/** From the client's point of view: it sends `upstream` and receives `downstream`. */
export type ToxicStream = 'upstream' | 'downstream';

export interface ToxicLink {
  /** `ip:port` where clients connect. */
  readonly address: string;
  /** From now on, also for connections that are open; for both directions unless one is named. */
  add(toxic: Toxic, stream?: ToxicStream): Promise<void>;
  /** Everything passes again; what a toxic has held back ends with its connection. */
  clear(): Promise<void>;
}

export interface Toxiproxy extends AsyncDisposable {
  /** A link to `ip:port`. */
  link(upstream: string): Promise<ToxicLink>;
}

const START_TIMEOUT_MS = 20_000;
const CALL_TIMEOUT_MS = 20_000;

export async function startToxiproxy(): Promise<Toxiproxy> {
  const binary = findTool('toxiproxy-server', 'ORCA_TOXIPROXY');
  if (binary === undefined) throw new Error('no toxiproxy-server: run hack/tools faults');
  const port = await freePort();
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`toxiproxy: ${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  };
  const stop = await startServerProcess({
    name: 'toxiproxy',
    program: binary,
    parameters: ['-host', '127.0.0.1', '-port', String(port)],
    ping: () => call('GET', '/proxies'),
    pollMs: 20,
    startTimeoutMs: START_TIMEOUT_MS,
    stopSignal: 'SIGKILL',
  });

  let links = 0;
  return {
    async link(upstream) {
      const name = `link-${links++}`;
      const made = (await call('POST', '/proxies', { name, listen: '127.0.0.1:0', upstream })) as { listen: string };
      let toxics: string[] = [];
      return {
        address: made.listen,
        async add({ type, ...attributes }, stream) {
          for (const direction of stream === undefined ? ['upstream', 'downstream'] : [stream]) {
            const toxic = `${type}-${direction}`;
            await call('POST', `/proxies/${name}/toxics`, { name: toxic, type, stream: direction, attributes });
            toxics.push(toxic);
          }
        },
        async clear() {
          const removed = toxics;
          toxics = [];
          for (const toxic of removed) await call('DELETE', `/proxies/${name}/toxics/${toxic}`);
        },
      };
    },
    [Symbol.asyncDispose]: stop,
  };
}
