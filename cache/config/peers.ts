/** Resolves this replica's own peer address and its source of cluster membership. */
import { isIP } from 'node:net';
import type { PodFile } from '#crds/schema/pod-file.ts';
import type { Problem } from '#crds/validate.ts';
import type { Config, ListenAddress } from './config.ts';
import { connectableHost, formatAddress, parseAddress } from './listen-address.ts';

/** The operator sets it from the pod's status. */
const POD_IP_VAR = 'POD_IP';

type Env = Readonly<Record<string, string | undefined>>;

export function resolvePeers(
  peers: PodFile['peers'],
  listen: ListenAddress,
  env: Env,
  problems: Problem[],
): Config['peers'] {
  if (peers.type === 'Static') return resolveStatic(peers, listen, env, problems);
  const self = peers.self ?? env[POD_IP_VAR] ?? '';
  if (isIP(self) === 0)
    problems.push({
      path: ['peers', 'self'],
      message:
        self === ''
          ? `is required if the environment variable ${POD_IP_VAR} is not set`
          : `must be an IP address, not ${self}`,
    });
  return {
    type: 'EndpointSlices',
    namespace: peers.endpointSlices?.namespace ?? '',
    service: peers.endpointSlices?.service ?? '',
    self,
    authDirectory: peers.auth?.directory ?? '',
  };
}

function resolveStatic(peers: PodFile['peers'], listen: ListenAddress, env: Env, problems: Problem[]): Config['peers'] {
  const self = peers.self ?? formatAddress({ host: ownHost(listen, env), port: listen.port });
  if (parseAddress(self) === undefined)
    problems.push({ path: ['peers', 'self'], message: 'must be host:port, as in the peer list of the other replicas' });
  const list = peers.static?.peers ?? [self];
  for (const [index, peer] of (peers.static?.peers ?? []).entries())
    if (parseAddress(peer) === undefined)
      problems.push({ path: ['peers', 'static', 'peers', index], message: 'must have a port of at most 65535' });
  // A replica missing from its own list would own no chunks, and its epoch would differ from every other replica's.
  if (!list.includes(self))
    problems.push({
      path: ['peers', 'static', 'peers'],
      message: `must contain this replica, which is ${self} (peers.self)`,
    });
  return { type: 'Static', peers: list, self, authDirectory: peers.auth?.directory };
}

/** The pod's address, which other machines know it by; without POD_IP, all replicas are on this machine. */
function ownHost(listen: ListenAddress, env: Env): string {
  const podIp = env[POD_IP_VAR];
  if (podIp !== undefined && podIp !== '') return podIp;
  return connectableHost(listen.host);
}
