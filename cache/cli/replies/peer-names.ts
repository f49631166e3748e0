/** Which pod and which of its workers a peer address belongs to. */
import { MAX_WORKERS, peerPortName, POD_PORT } from '#crds/names.ts';
import type { CachePod } from '#cache/cli/cluster/cluster.ts';
import { itemsAt, textAt } from './fields.ts';

export interface PeerName {
  readonly pod: string;
  /** Null = the pod has one process. */
  readonly worker: number | null;
}

/** An address that no pod has: that of a pod which has just been deleted, or in a set-up without Kubernetes. */
export type NameOfPeer = (address: string) => PeerName | undefined;

/** `selves`: the peer address that each pod gives as its own, for pods whose IP address is not known. */
export function peerNames(pods: readonly CachePod[], selves: ReadonlyMap<string, string>): NameOfPeer {
  const byIp = new Map(pods.map((pod) => [textAt(pod.resource, 'status', 'podIP'), pod]));
  return (address) => {
    const { ip, port } = split(address);
    const pod = ip === '' ? undefined : byIp.get(ip);
    const worker = port - POD_PORT.peer;
    if (pod !== undefined && worker >= 0 && worker < MAX_WORKERS)
      return { pod: pod.name, worker: hasWorkers(pod) ? worker : null };
    const name = selves.get(address);
    return name === undefined ? undefined : { pod: name, worker: null };
  };
}

/** `models-a`, or `models-a/1` for worker 1 of several. */
export function peerText({ pod, worker }: PeerName): string {
  return worker === null ? pod : `${pod}/${worker}`;
}

function hasWorkers({ resource }: CachePod): boolean {
  return itemsAt(resource, 'spec', 'containers')
    .flatMap((container) => itemsAt(container, 'ports'))
    .some((port) => textAt(port, 'name') === peerPortName(1));
}

/** `10.0.0.1:8444`, or `[fd00::1]:8444`. */
function split(address: string): { readonly ip: string; readonly port: number } {
  const colon = address.lastIndexOf(':');
  const ip = address.slice(0, Math.max(0, colon));
  return { ip: ip.startsWith('[') ? ip.slice(1, -1) : ip, port: Number(address.slice(colon + 1)) };
}
