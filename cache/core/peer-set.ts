/**
 * Who the replicas are, computed from all EndpointSlices of the peer Service at once. Equal slices give equal owners on
 * every replica, whatever the order in which they arrived.
 */
import { createHash } from 'node:crypto';

/** `ip:port` (`[ip]:port` for IPv6) of a replica's peer listener. */
export type PeerAddress = string & { readonly __brand: 'PeerAddress' };

/** One immutable view of the replicas. */
export interface PeerSet {
  readonly self: PeerAddress;
  /** Sorted; who may own chunks. Self is in it until its own view shows it terminating. */
  readonly owners: readonly PeerAddress[];
  /** Sorted; replicas that drain: still readable, own nothing new. */
  readonly terminating: readonly PeerAddress[];
  /** A hash of the sorted owners: equal epochs, equal coordinators. */
  readonly epoch: string;
}

/** The part of discovery.k8s.io/v1 that membership needs. */
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
  /** POD_IP; its family is the peers' family. */
  readonly ip: string;
  /** The peer listener's, and of every slice that names no port of its own. */
  readonly port: number;
  /** Shutting down for so long that it owns nothing new, whatever the slices say. */
  readonly leaving?: boolean;
}

/** What one endpoint entry says of an address; where several entries differ, the liveliest is right. */
const LIVELINESS = { terminating: 0, waiting: 1, serving: 2 } as const;
type Liveliness = keyof typeof LIVELINESS;

const PEER_PORT_NAME = 'peer';
/** Enough for a label that is compared by eye and by machine. */
const EPOCH_HEX_DIGITS = 16;

export function peerSetOf(slices: Iterable<EndpointSlice>, self: SelfPeer): PeerSet {
  const selfIp = canonicalIp(self.ip);
  const me = peerAddress(selfIp, self.port);
  const seen = new Map<PeerAddress, Liveliness>();
  for (const { ip, port, liveliness } of endpointsOf(slices, familyOf(selfIp))) {
    const address = ip === selfIp ? me : peerAddress(ip, port ?? self.port);
    const before = seen.get(address);
    // The same endpoint in two slices while it moves, or an address that a new pod took over from one that drains.
    if (before === undefined || LIVELINESS[liveliness] > LIVELINESS[before]) seen.set(address, liveliness);
  }
  if (self.leaving === true) seen.set(me, 'terminating');

  const those = (wanted: Liveliness): PeerAddress[] =>
    [...seen].filter(([, liveliness]) => liveliness === wanted).map(([address]) => address);
  const serving = those('serving');
  // A probe storm: if nobody serves, each replica alone would own everything.
  const owners = new Set(serving.length > 0 ? serving : those('waiting'));
  if (seen.get(me) !== 'terminating') owners.add(me);
  return peerSet(me, owners, those('terminating'));
}

/** How many endpoints of self's family the slices hold, whatever their state. */
export function countEndpoints(slices: Iterable<EndpointSlice>, selfIp: string): number {
  return endpointsOf(slices, familyOf(canonicalIp(selfIp))).length;
}

/** A frozen set from its parts, sorted and without doubles. */
export function peerSet(self: PeerAddress, owners: Iterable<PeerAddress>, terminating: Iterable<PeerAddress>): PeerSet {
  const sorted = [...new Set(owners)].toSorted();
  return Object.freeze({
    self,
    owners: Object.freeze(sorted),
    terminating: Object.freeze([...new Set(terminating)].toSorted()),
    epoch: epochOf(sorted),
  });
}

/** Two sets with equal owners may still differ in who drains. */
export function samePeers(a: PeerSet, b: PeerSet): boolean {
  return a.self === b.self && a.epoch === b.epoch && a.terminating.join() === b.terminating.join();
}

export function peerAddress(ip: string, port: number): PeerAddress {
  return `${ip.includes(':') ? `[${ip}]` : ip}:${port}` as PeerAddress;
}

/** An `ip:port` as a person wrote it, in the one spelling that hashes alike everywhere. Throws RangeError. */
export function parsePeerAddress(text: string): PeerAddress {
  const match = /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<four>[^:[\]]+)):(?<port>[1-9]\d{0,4})$/.exec(text);
  const ip = match?.groups?.['six'] ?? match?.groups?.['four'];
  const port = Number(match?.groups?.['port']);
  if (ip === undefined || port > 65_535) throw new RangeError(`not an ip:port: ${JSON.stringify(text)}`);
  return peerAddress(canonicalIp(ip), port);
}

interface FlatEndpoint {
  readonly ip: string;
  readonly port: number | undefined;
  readonly liveliness: Liveliness;
}

function endpointsOf(slices: Iterable<EndpointSlice>, family: string): FlatEndpoint[] {
  const flat: FlatEndpoint[] = [];
  for (const slice of slices) {
    if (slice.addressType !== family) continue;
    const port = slice.ports?.find((candidate) => candidate.name === PEER_PORT_NAME)?.port ?? undefined;
    for (const { addresses, conditions } of slice.endpoints ?? []) {
      // The addresses of one endpoint are interchangeable; the API says to use the first.
      const [ip] = addresses;
      if (ip === undefined) continue;
      // Not `ready`: publishNotReadyAddresses sets it for everybody. A condition that is not there counts as good.
      const liveliness =
        conditions?.terminating === true ? 'terminating' : conditions?.serving === false ? 'waiting' : 'serving';
      flat.push({ ip: canonicalIp(ip), port, liveliness });
    }
  }
  return flat;
}

function familyOf(ip: string): string {
  return ip.includes(':') ? 'IPv6' : 'IPv4';
}

/** `fd00:0::1` and `fd00::1` are one peer. */
function canonicalIp(ip: string): string {
  return ip.includes(':') ? new URL(`http://[${ip}]`).hostname.slice(1, -1) : ip;
}

function epochOf(sortedOwners: readonly PeerAddress[]): string {
  return createHash('sha256').update(sortedOwners.join('\n'), 'utf8').digest('hex').slice(0, EPOCH_HEX_DIGITS);
}
