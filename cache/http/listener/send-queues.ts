/**
 * How many bytes the kernel holds for a connection that the client has not acknowledged. A completed write shows only
 * that the kernel had room: it wakes a writer when a third of the buffer is free, and that is up to 1.4 MiB, for which a
 * client of 10 KB/s needs 140 s. Node has no access to SIOCOUTQ, but /proc/net/tcp lists the same number.
 */
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Those of this process's network namespace. IPv4 clients of a listener on `::` are in the second. */
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];
/**
 * A table is read at most this often, and all responses share the result: the kernel iterates over the connections of the
 * whole machine, which takes about 6 ms of a thread.
 */
const MAX_AGE_MS = 1_000;
/** A read that takes longer counts as unknown. */
const READ_TIMEOUT_MS = 1_000;
/** `0: 0100007F:1F90 0100007F:C350 01 000020AB:00000000 …`: number, local and remote address, state, queues. */
const LINE = /^ *\d+: ([\dA-F]+:[\dA-F]{4} [\dA-F]+:[\dA-F]{4}) [\dA-F]{2} ([\dA-F]{8}):/gm;

/** Undefined = unknown: not on Linux, or the connection is closed. Never rejects. */
export type UnackedBytes = (socket: Socket) => Promise<number | undefined>;

/** For connections that the kernel does not list. */
export const unknownUnacked: UnackedBytes = () => Promise.resolve(undefined);

type Ends = Partial<Pick<Socket, 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'>>;

export function openSendQueues({ readTable = readText, maxAgeMs = MAX_AGE_MS } = {}): UnackedBytes {
  let latest: { readonly atMs: number; readonly queues: Promise<ReadonlyMap<string, number>> } | undefined;
  return async (socket) => {
    const name = nameOf(socket);
    if (name === undefined) return undefined;
    const nowMs = performance.now();
    if (latest === undefined || nowMs - latest.atMs > maxAgeMs) latest = { atMs: nowMs, queues: readQueues(readTable) };
    return (await latest.queues).get(name);
  };
}

function readText(path: string): Promise<string> {
  return readFile(path, 'latin1');
}

async function readQueues(readTable: (path: string) => Promise<string>): Promise<ReadonlyMap<string, number>> {
  const timer = new AbortController();
  const tooLate = delay(READ_TIMEOUT_MS, '', { signal: timer.signal, ref: false }).catch(() => '');
  const texts = await Promise.all(TABLES.map((path) => Promise.race([readTable(path).catch(() => ''), tooLate])));
  timer.abort();
  return parseSendQueues(texts.join(''));
}

/** By local and remote end, as the table writes them. */
export function parseSendQueues(text: string): ReadonlyMap<string, number> {
  const queues = new Map<string, number>();
  for (const [, name = '', bytes = ''] of text.matchAll(LINE)) queues.set(name, Number.parseInt(bytes, 16));
  return queues;
}

/** The connection's ends as the table writes them: addresses as 32-bit words in the byte order of the machine. */
export function nameOf({ localAddress, localPort, remoteAddress, remotePort }: Ends): string | undefined {
  if (localAddress === undefined || remoteAddress === undefined) return undefined;
  return `${endOf(localAddress, localPort)} ${endOf(remoteAddress, remotePort)}`;
}

function endOf(address: string, port = 0): string {
  const words = address.includes(':') ? ipv6Words(address) : [ipv4Word(address)];
  const name = words.map((word) => hex(word, 8)).join('');
  return `${name}:${hex(port, 4)}`;
}

function ipv4Word(address: string): number {
  return littleEndian(address.split('.').map(Number));
}

function ipv6Words(address: string): number[] {
  const [unscoped = ''] = address.split('%', 1);
  const dotted = unscoped.includes('.') ? unscoped.lastIndexOf(':') + 1 : unscoped.length;
  const groups = unscoped.slice(0, dotted) + dottedGroups(unscoped.slice(dotted));
  const [left = [], right = []] = groups.split('::').map(groupsOf);
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => 0);
  const bytes = [...left, ...zeros, ...right].flatMap((group) => [group >> 8, group & 0xff]);
  return [0, 4, 8, 12].map((at) => littleEndian(bytes.slice(at, at + 4)));
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

/** `10.0.0.1` as the last two groups of an IPv6 address. */
function dottedGroups(address: string): string {
  if (address === '') return '';
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  return `${hex(a * 256 + b, 4)}:${hex(c * 256 + d, 4)}`;
}

/** All machines that the images are built for are little-endian. */
function littleEndian(bytes: readonly number[]): number {
  return bytes.reduceRight((word, byte) => word * 256 + byte, 0);
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}
