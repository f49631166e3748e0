/** Sends heartbeats to other replicas: one connected UDP socket per peer, so that a refusal by its machine arrives too. */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { connect } from 'node:net';
import type { PeerKeys } from '#cache/core/peer/auth.ts';
import { decodeAnswer, encodePing, PING_NONCE_BYTES } from '#cache/core/peer/heartbeat.ts';
import type { PeerAddress } from '#cache/engine/ports.ts';
import { withoutBrackets } from '#shared/host-name.ts';

export interface PingEvents {
  /** `mainAgeMs`: the time since the main loop of the peer last turned. */
  readonly onAnswer: (mainAgeMs: number) => void;
  /** The peer's machine responds that no process has this port. */
  readonly onRefused: () => void;
  /** This process cannot send, so that no answer means nothing. */
  readonly onUnsent: () => void;
}

export interface PingLine {
  ping(): void;
  close(): void;
}

export interface Pinger {
  open(address: PeerAddress, events: PingEvents): PingLine;
  /** Whether a process accepts connections there: `unknown` if there is no answer for a while. */
  knock(address: PeerAddress): Promise<'accepted' | 'refused' | 'unknown'>;
}

/** Late answers count too, as long as few are missing. */
const MAX_OUTSTANDING = 16;
/** Pings are rare while a peer responds to its calls: a socket for each of 256 peers would be kept for nothing. */
const IDLE_CLOSE_MS = 5_000;
const KNOCK_TIMEOUT_MS = 500;
/** The network has no way to the machine: for the purposes of a heartbeat, the ping was lost. */
const LOST = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN']);

export function openUdpPinger(keys: () => PeerKeys | undefined): Pinger {
  return { open: (address, events) => new UdpLine(address, keys, events), knock };
}

class UdpLine implements PingLine {
  readonly #address: PeerAddress;
  readonly #keys: () => PeerKeys | undefined;
  readonly #events: PingEvents;
  #socket: Socket | undefined;
  #isConnected = false;
  /** Nonces as hex, oldest first. */
  readonly #outstanding = new Set<string>();
  #idle: NodeJS.Timeout | undefined;

  constructor(address: PeerAddress, keys: () => PeerKeys | undefined, events: PingEvents) {
    this.#address = address;
    this.#keys = keys;
    this.#events = events;
  }

  ping(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.close(), IDLE_CLOSE_MS).unref();
    if (this.#socket === undefined) this.#open();
    else if (this.#isConnected) this.#send(this.#socket);
  }

  close(): void {
    clearTimeout(this.#idle);
    this.#socket?.close();
    this.#socket = undefined;
    this.#isConnected = false;
    this.#outstanding.clear();
  }

  #open(): void {
    const { host, port } = partsOf(this.#address);
    try {
      const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
      this.#socket = socket;
      socket.unref();
      socket.on('message', (bytes) => this.#received(bytes));
      socket.on('error', (error) => this.#failed(error));
      socket.connect(port, host, (error?: Error) => {
        // It may be closed by now.
        if (this.#socket !== socket) return;
        if (error !== undefined) return this.#failed(error);
        this.#isConnected = true;
        this.#send(socket);
      });
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  #send(socket: Socket): void {
    const nonce = randomBytes(PING_NONCE_BYTES);
    this.#outstanding.add(nonce.toString('hex'));
    const [oldest] = this.#outstanding;
    if (this.#outstanding.size > MAX_OUTSTANDING && oldest !== undefined) this.#outstanding.delete(oldest);
    socket.send(encodePing(this.#keys(), this.#address, nonce), (error) => {
      if (error !== null) this.#failed(error);
    });
  }

  #received(bytes: Buffer): void {
    const answer = decodeAnswer(this.#keys(), this.#address, bytes);
    if (answer === undefined || !this.#outstanding.delete(Buffer.from(answer.nonce).toString('hex'))) return;
    this.#events.onAnswer(answer.mainAgeMs);
  }

  #failed(error: NodeJS.ErrnoException): void {
    const { code = '' } = error;
    if (code === 'ECONNREFUSED') this.#events.onRefused();
    else if (!LOST.has(code)) this.#events.onUnsent();
    // A socket that could not be created or connected is of no use.
    if (!this.#isConnected) this.close();
  }
}

/** Connects to the peer's TCP port, which the kernel accepts for a process that does not run. */
function knock(address: PeerAddress): Promise<'accepted' | 'refused' | 'unknown'> {
  return new Promise((resolve) => {
    const socket = connect(partsOf(address));
    const finish = (outcome: 'accepted' | 'refused' | 'unknown'): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => finish('unknown'), KNOCK_TIMEOUT_MS);
    socket.on('connect', () => finish('accepted'));
    socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code === 'ECONNREFUSED' ? 'refused' : 'unknown'));
  });
}

function partsOf(address: PeerAddress): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':');
  return { host: withoutBrackets(address.slice(0, at)), port: Number(address.slice(at + 1)) };
}
