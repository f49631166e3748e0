/**
 * What a process sees of the cluster: the EndpointSlices that the pods would have, through the real computation of the
 * peers. The oracle computes the same again, from the pods themselves.
 */
import { peerAddress, peerSetOf, type EndpointSlice, type PeerAddress, type PeerSet } from '#cache/core/peer-set.ts';
import type { Pod, Replica } from './replica.ts';
import type { World } from './world.ts';

/** Worker i of a pod listens on this port plus i. */
export const PEER_PORT = 8444;

/** A pod as the EndpointSlices report it. */
export interface Member {
  readonly ip: string;
  readonly workers: number;
  readonly isTerminating: boolean;
}

export function membersOf(pods: readonly Pod[]): Member[] {
  return pods
    .filter(({ state }) => state !== 'removed')
    .map(({ ip, replicas, state }) => ({ ip, workers: replicas.length, isTerminating: state === 'terminating' }));
}

/** Releases without workers know only the port named `peer`. */
export function viewOf({ pod, worker }: Replica, members: readonly Member[]): PeerSet {
  const slices = [...Map.groupBy(members, ({ workers }) => workers)].map(([workers, own]) =>
    sliceOf(own, pod.isEarlier ? 1 : workers),
  );
  return peerSetOf(slices, { ip: pod.ip, port: PEER_PORT, workers: pod.replicas.length, worker });
}

/** A slice contains the pods that have the same named ports. */
function sliceOf(members: readonly Member[], ports: number): EndpointSlice {
  return {
    addressType: 'IPv4',
    ports: Array.from({ length: ports }, (_, worker) => ({
      name: worker === 0 ? 'peer' : `peer-${worker}`,
      port: PEER_PORT + worker,
    })),
    endpoints: members.map(({ ip, isTerminating }) => ({
      addresses: [ip],
      conditions: { serving: true, terminating: isTerminating },
    })),
  };
}

/** Every worker of every pod that serves is an owner, and no other; so are those of the own pod until it terminates. */
export function checkView(world: World, self: Replica, members: readonly Member[], view: PeerSet): void {
  const { pod } = self;
  const isOwn = ({ ip }: Member): boolean => ip === pod.ip;
  const own: Member = members.find(isOwn) ?? { ip: pod.ip, workers: pod.replicas.length, isTerminating: false };
  const all = [...members.filter((member) => !isOwn(member)), own];
  for (const isTerminating of [false, true]) {
    const wanted = all
      .filter((member) => member.isTerminating === isTerminating)
      .flatMap(({ ip, workers }) => addressesOf(ip, pod.isEarlier ? 1 : workers))
      .toSorted();
    const seen = isTerminating ? view.terminating : view.owners;
    if (seen.join() === wanted.join()) continue;
    const what = isTerminating ? 'draining' : 'owners';
    world.violate('replicas agree', `${self.address} sees as ${what} ${seen.join(' ')}, not ${wanted.join(' ')}`);
  }
}

export function addressesOf(ip: string, workers: number): PeerAddress[] {
  return Array.from({ length: workers }, (_, worker) => peerAddress(ip, PEER_PORT + worker));
}

export function hostOf(address: PeerAddress): string {
  return address.slice(0, address.lastIndexOf(':'));
}
