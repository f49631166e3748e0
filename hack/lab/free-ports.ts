/**
 * Ports for servers that open them later, or again after a restart. They lie below those that the kernel gives to outgoing
 * connections and to listeners without a port of their own (`net.ipv4.ip_local_port_range`, from 32768): nothing else
 * takes one in the meantime. No process gets a port twice (until it has got all 20,000), and processes that run at the
 * same time begin far apart.
 */
import { createServer } from 'node:net';

const LOWEST_PORT = 10_000;
/** Also below the NodePorts of Kubernetes. */
const HIGHEST_PORT = 30_000;
const PORTS = HIGHEST_PORT - LOWEST_PORT;
/** Multiples of the golden ratio's fraction are far apart: those of process ids that differ by up to 50 by 260 ports. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;
/** Each one fails only if a server listens in the range chosen. */
const ATTEMPTS = 100;

/** In [0, PORTS). */
let next = Math.floor(((process.pid * GOLDEN) % 1) * PORTS);

export function freePort(host?: string): Promise<number> {
  return freePorts(1, host);
}

/** The first of `count` consecutive ports on which no process listens at the moment. */
export async function freePorts(count: number, host = '127.0.0.1'): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const first = take(count);
    const all = Array.from({ length: count }, (_, index) => isFree(first + index, host));
    if ((await Promise.all(all)).every(Boolean)) return first;
  }
  throw new Error(`found no ${count} consecutive free ports on ${host} between ${LOWEST_PORT} and ${HIGHEST_PORT}`);
}

/** Whether no process listens on the port at the moment. */
export function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/** Synchronous, so that concurrent callers get different ports. */
function take(count: number): number {
  if (next + count > PORTS) next = 0;
  const first = LOWEST_PORT + next;
  next += count;
  return first;
}
