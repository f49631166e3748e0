/**
 * Cluster membership, computed from all EndpointSlices of the peer Service. Replicas that see the same slices compute the
 * same owners, in whatever order the slices arrived.
 */
import { createHash } from 'node:crypto';

/** Address of a replica's peer listener: `ip:port`, or `[ip]:port` for IPv6. */
export type PeerAddress = string & { readonly __brand: 'PeerAddress' };

/** An immutable view of the cluster's members. */
export interface PeerSet {
  readonly self: PeerAddress;
  /** Replicas that may own chunks, sorted. Includes self until the view shows self as terminating. */
  readonly owners: readonly PeerAddress[];
  /** Draining replicas, sorted: they still serve reads, but own no chunks. */
  readonly terminating: readonly PeerAddress[];
  /** A hash of the sorted owners. Equal epochs mean equal coordinators. */
  readonly epoch: string;
}

/** The fields of discovery.k8s.io/v1 EndpointSlice that membership needs. */
export interface EndpointSlice {
  readonly addressType: string;
  readonly endpoints?: readonly SliceEndpoint[] | null;
  readonly ports?: readonly { readonly name?: string | null; readonly port?: number | null }[] | null;
}

export interface SliceEndpoint {
  readonly addresses: readonly string[];
  readonly conditions?: { readonly serving?: boolean | null; readonly terminating?: boolean | null } | null;
}

export interface SelfPeer {
  /** POD_IP. Only peers of the same IP family count. */
  readonly ip: string;
  /** The port of the peer listener of worker 0, and of every slice without a port named `peer`. */
  readonly port: number;
  /** The processes of this pod, of which worker i has the port `port + i`. Default: 1. */
  readonly workers?: number;
  /** Which of them this process is. Default: 0. */
  readonly worker?: number;
  /** Set during shutdown: self counts as terminating, regardless of the slices. */
  readonly leaving?: boolean;
}

/** The state of an address. If several entries contain the same address, the state with the highest rank counts. */
const STATE_RANK = { terminating: 0, notServing: 1, serving: 2 } as const;
type EndpointState = keyof typeof STATE_RANK;

/** `peer` is worker 0, `peer-<i>` worker i. Every slice names the ports that all of its pods have. */
const PEER_PORT_NAME = /^peer(?:-(?:[1-9]|1[0-5]))?$/;
/** 64 bits: collisions are negligible, and the value stays readable as a label. */
const EPOCH_HEX_DIGITS = 16;

export function peerSetOf(slices: Iterable<EndpointSlice>, self: SelfPeer): PeerSet {
  const selfIp = canonicalIp(self.ip);
  // The workers of a pod come and go together, and know each other without the slices.
  const ownPod = expandWorkers(peerAddress(selfIp, self.port), self.workers ?? 1);
  const selfAddress = peerAddress(selfIp, self.port + (self.worker ?? 0));
  const states = new Map<PeerAddress, EndpointState>();
  for (const { ip, ports, state } of endpointsOf(slices, familyOf(selfIp))) {
    const peerPorts = ports.length === 0 ? [self.port] : ports;
    for (const address of ip === selfIp ? ownPod : peerPorts.map((port) => peerAddress(ip, port))) {
      const before = states.get(address);
      // An address may occur twice: an endpoint that moves between slices, or a new pod with the IP of a draining one.
      if (before === undefined || STATE_RANK[state] > STATE_RANK[before]) states.set(address, state);
    }
  }
  if (self.leaving === true) for (const address of ownPod) states.set(address, 'terminating');

  const inState = (wanted: EndpointState): PeerAddress[] =>
    [...states].filter(([, state]) => state === wanted).map(([address]) => address);
  const serving = inState('serving');
  // If no replica serves (all readiness probes fail), use the ones that do not: otherwise each would own every chunk.
  const owners = new Set(serving.length > 0 ? serving : inState('notServing'));
  for (const address of ownPod) if (states.get(address) !== 'terminating') owners.add(address);
  return peerSet(selfAddress, owners, inState('terminating'));
}

/** The number of endpoints of self's IP family in the slices, in any state. */
export function countEndpoints(slices: Iterable<EndpointSlice>, selfIp: string): number {
  return endpointsOf(slices, familyOf(canonicalIp(selfIp))).length;
}

/** Builds a frozen PeerSet: sorts the addresses and removes duplicates. */
export function peerSet(self: PeerAddress, owners: Iterable<PeerAddress>, terminating: Iterable<PeerAddress>): PeerSet {
  const sorted = [...new Set(owners)].toSorted();
  return Object.freeze({
    self,
    owners: Object.freeze(sorted),
    terminating: Object.freeze([...new Set(terminating)].toSorted()),
    epoch: epochOf(sorted),
  });
}

/** Also compares the draining replicas, which the epoch does not cover. */
export function samePeers(a: PeerSet, b: PeerSet): boolean {
  return a.self === b.self && a.epoch === b.epoch && a.terminating.join() === b.terminating.join();
}

export function peerAddress(ip: string, port: number): PeerAddress {
  return `${ip.includes(':') ? `[${ip}]` : ip}:${port}` as PeerAddress;
}

/** The addresses of the workers of a pod, from that of worker 0. */
export function expandWorkers(address: PeerAddress, workers: number): readonly PeerAddress[] {
  const colon = address.lastIndexOf(':') + 1;
  const port = Number(address.slice(colon));
  return Array.from({ length: workers }, (_, worker) => `${address.slice(0, colon)}${port + worker}` as PeerAddress);
}

/** Parses an `ip:port` into its canonical form, so that it hashes equally on every replica. Throws RangeError. */
export function parsePeerAddress(text: string): PeerAddress {
  const match = /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<four>[^:[\]]+)):(?<port>[1-9]\d{0,4})$/.exec(text);
  const ip = match?.groups?.['six'] ?? match?.groups?.['four'];
  const port = Number(match?.groups?.['port']);
  if (ip === undefined || port > 65_535) throw new RangeError(`not an ip:port: ${JSON.stringify(text)}`);
  return peerAddress(canonicalIp(ip), port);
}

interface FlatEndpoint {
  readonly ip: string;
  /** One for each of its workers; empty = the slice names no peer port. */
  readonly ports: readonly number[];
  readonly state: EndpointState;
}

function endpointsOf(slices: Iterable<EndpointSlice>, family: string): FlatEndpoint[] {
  const flat: FlatEndpoint[] = [];
  for (const slice of slices) {
    if (slice.addressType !== family) continue;
    const ports = (slice.ports ?? []).flatMap(({ name, port }) =>
      typeof port === 'number' && PEER_PORT_NAME.test(name ?? '') ? [port] : [],
    );
    for (const { addresses, conditions } of slice.endpoints ?? []) {
      // The addresses of one endpoint are interchangeable; the API recommends using the first.
      const [ip] = addresses;
      if (ip === undefined) continue;
      // `ready` is no help: publishNotReadyAddresses sets it on every endpoint. The API defines a missing `serving` as
      // true, and a missing `terminating` as false.
      const state =
        conditions?.terminating === true ? 'terminating' : conditions?.serving === false ? 'notServing' : 'serving';
      flat.push({ ip: canonicalIp(ip), ports, state });
    }
  }
  return flat;
}

function familyOf(ip: string): string {
  return ip.includes(':') ? 'IPv6' : 'IPv4';
}

/** The canonical spelling of an IPv6 address: `fd00:0::1` and `fd00::1` are the same peer. */
function canonicalIp(ip: string): string {
  return ip.includes(':') ? new URL(`http://[${ip}]`).hostname.slice(1, -1) : ip;
}

function epochOf(sortedOwners: readonly PeerAddress[]): string {
  return createHash('sha256').update(sortedOwners.join('\n'), 'utf8').digest('hex').slice(0, EPOCH_HEX_DIGITS);
}
