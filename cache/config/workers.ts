/** The number of worker processes, and what each of them gets of the resources of the whole. */
import { MAX_WORKERS } from '#crds/names.ts';
import { CHUNKS_IN_BUDGET, holdsChunks } from '#crds/schema/behavior.ts';
import type { PodFile } from '#crds/schema/pod-file.ts';
import type { Problem } from '#crds/validate.ts';
import type { Config } from './config.ts';
import { formatAddress, parseAddress } from './listen-address.ts';

export interface HostFacts {
  /** CPUs that this process may use: `availableParallelism()`, which knows the limit of the container. */
  readonly cores: number;
  /** `process.platform` */
  readonly platform: string;
  /** Whether the kernel has IPv6; if unset, it has. */
  readonly hasIpv6?: boolean;
}

const MAX_PORT = 65_535;

/** `auto` in a file is that of a process without an operator, which writes a number. */
export function resolveWorkers(
  file: PodFile,
  { cores, platform }: HostFacts,
  budgetBytes: number,
  problems: Problem[],
): number {
  const hasRoom = (count: number): boolean => holdsChunks(file, budgetBytes, CHUNKS_IN_BUDGET * count);
  if (file.workers === 'auto') {
    // Only Linux divides the connections of one port among processes.
    const most = platform === 'linux' ? Math.min(cores, MAX_WORKERS) : 1;
    for (let count = most; count > 1; count--) if (hasRoom(count)) return count;
    return 1;
  }
  const count = Number(file.workers);
  if (!Number.isInteger(count) || count <= 1) return 1;
  if (platform !== 'linux')
    problems.push({ path: ['workers'], message: `must be 1 on ${platform}: only Linux shares a port among processes` });
  if (!hasRoom(count))
    problems.push({
      path: ['memory', 'budget'],
      message: `must be at least four times the largest chunk size for each of the ${count} workers; or lower workers`,
    });
  return count;
}

/** Several workers share the edge port, and have peer ports from the configured one upward. */
export function checkWorkerPorts({ edge, peer, ops }: Config['listen'], workers: number, problems: Problem[]): void {
  if (workers === 1) return;
  for (const [name, { port }] of Object.entries({ edge, peer }))
    if (port === 0)
      problems.push({ path: ['listen', name], message: 'must have a fixed port if there are several workers' });
  const last = peer.port + workers - 1;
  if (last > MAX_PORT)
    problems.push({
      path: ['listen', 'peer'],
      message: `must have a port of at most ${MAX_PORT - workers + 1}, because each of the ${workers} workers has one`,
    });
  for (const [name, { port }] of Object.entries({ edge, ops }))
    if (port > peer.port && port <= last)
      problems.push({
        path: ['listen', name],
        message: `must not be one of the workers' peer ports, which are ${peer.port} to ${last}`,
      });
}

/** A listed address stands for all workers of its replica, so two of one host need room between their ports. */
export function checkStaticPeers(peers: Config['peers'], workers: number, problems: Problem[]): void {
  if (peers.type !== 'Static' || workers === 1) return;
  const listed = new Set(peers.peers);
  for (const [index, peer] of peers.peers.entries()) {
    const address = parseAddress(peer);
    if (address === undefined) continue;
    const others = Array.from({ length: workers - 1 }, (_, at) =>
      formatAddress({ ...address, port: address.port + at + 1 }),
    );
    const other = others.find((candidate) => listed.has(candidate));
    if (other !== undefined)
      problems.push({
        path: ['peers', 'static', 'peers', index],
        message: `has ${workers} workers, on this port and the next ones, which include that of ${other}`,
      });
  }
}

/** What worker `index` runs with. Limits of the whole are divided; sizes of tables are each process's own. */
export function workerConfig(config: Config, index: number): Config {
  const { workers, listen, memory, edge } = config;
  return Object.freeze({
    ...config,
    listen: { ...listen, peer: { ...listen.peer, port: listen.peer.port + index } },
    memory: { budgetBytes: Math.floor(memory.budgetBytes / workers) },
    edge: { ...edge, maxConnections: Math.ceil(edge.maxConnections / workers) },
  });
}
