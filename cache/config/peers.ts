/** Who this replica is and where it learns of the others. */
import { isIP } from 'node:net';
import type { PodFile } from '#crds/schema/pod-file.ts';
import type { Problem } from '#crds/validate.ts';
import type { Config, ListenAddress } from './config.ts';
import { formatAddress, parseAddress } from './listen-address.ts';

/** Set from the pod's own status. */
const POD_IP_VAR = 'POD_IP';

type Env = Readonly<Record<string, string | undefined>>;

export function resolvePeers(
  peers: PodFile['peers'],
  listen: ListenAddress,
  env: Env,
  mistakes: Problem[],
): Config['peers'] {
  if (peers.type === 'Static') return resolveStatic(peers, listen, env, mistakes);
  const self = peers.self ?? env[POD_IP_VAR] ?? '';
  if (isIP(self) === 0)
    mistakes.push({
      path: ['peers', 'self'],
      message:
        self === ''
          ? `is required where ${POD_IP_VAR} is not in the environment`
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

function resolveStatic(peers: PodFile['peers'], listen: ListenAddress, env: Env, mistakes: Problem[]): Config['peers'] {
  const self = peers.self ?? formatAddress({ host: ownHost(listen, env), port: listen.port });
  if (parseAddress(self) === undefined)
    mistakes.push({ path: ['peers', 'self'], message: 'must be host:port, as the other replicas know it' });
  const list = peers.static?.peers ?? [self];
  for (const [index, peer] of (peers.static?.peers ?? []).entries())
    if (parseAddress(peer) === undefined)
      mistakes.push({ path: ['peers', 'static', 'peers', index], message: 'must have a port of at most 65535' });
  // A replica that is not in its own list would own no chunk, and no other would agree with it.
  if (!list.includes(self))
    mistakes.push({
      path: ['peers', 'static', 'peers'],
      message: `must contain this replica, which is ${self} (peers.self)`,
    });
  return { type: 'Static', peers: list, self, authDirectory: peers.auth?.directory };
}

/** An address that listens everywhere is none that others could ask. */
function ownHost(listen: ListenAddress, env: Env): string {
  const podIp = env[POD_IP_VAR];
  if (podIp !== undefined && podIp !== '') return podIp;
  return listen.host === '0.0.0.0' || listen.host === '::' ? '127.0.0.1' : listen.host;
}
