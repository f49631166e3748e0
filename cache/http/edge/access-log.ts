/**
 * The access log: a line for each request, or for a sample, on stdout. As JSON, or in the format of S3's server access
 * logs (https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html), for which tools exist. Neither has a
 * signature, a credential or a token.
 */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { encodePath } from '#cache/core/percent.ts';
import { redactTarget } from '#cache/core/s3/redact-target.ts';
import { plainAddress } from '#cache/http/listener/plain-address.ts';

export interface AccessLogSettings {
  readonly format: 'json' | 's3';
  /** One request of this many is logged. */
  readonly sample: number;
}

export interface AccessRecord {
  readonly request: IncomingMessage;
  readonly client: Client;
  readonly requestId: string;
  /** When the request arrived. */
  readonly atMs: number;
  readonly bucket: string;
  readonly key: string;
  readonly versionId: string | undefined;
  /** The label of the key; undefined for an anonymous request. */
  readonly requester: string | undefined;
  readonly subResource: string | undefined;
  readonly status: number;
  /** S3's error code; undefined for a success. */
  readonly errorCode: string | undefined;
  readonly cache: string;
  readonly bytes: number;
  readonly objectSizeBytes: number | undefined;
  readonly sources: Readonly<Record<string, number>>;
  readonly ms: number;
  readonly firstByteMs: number | undefined;
}

/** The peer of the connection, which may be closed when the line is written. */
export interface Client {
  readonly ip: string | undefined;
  readonly cipher: string | undefined;
  readonly tlsVersion: string | undefined;
}

export interface AccessLog {
  /** Whether the next request is logged. */
  isSampled(): boolean;
  write(record: AccessRecord): void;
}

/** Clients choose these texts: a line has a limit. */
const MAX_TEXT_LENGTH = 1024;

export function openAccessLog(
  { format, sample }: AccessLogSettings,
  write: (line: string) => void,
  random: () => number = Math.random,
): AccessLog {
  const lineOf = format === 's3' ? s3Line : jsonLine;
  return {
    isSampled: () => sample === 1 || random() * sample < 1,
    write: (record) => write(lineOf(record)),
  };
}

export function clientOf({ socket }: IncomingMessage): Client {
  const tls = 'getCipher' in socket ? (socket as TLSSocket) : undefined;
  return {
    ip: plainAddress(socket.remoteAddress),
    cipher: tls?.getCipher()?.standardName,
    tlsVersion: tls?.getProtocol() ?? undefined,
  };
}

function jsonLine(record: AccessRecord): string {
  const { request, client, atMs, ms, firstByteMs, objectSizeBytes } = record;
  const { method = '', headers } = request;
  return JSON.stringify({
    level: 'info',
    time: new Date(atMs).toISOString(),
    message: 'access',
    requestId: record.requestId,
    client: client.ip,
    requester: record.requester,
    operation: operationOf(record),
    method,
    bucket: record.bucket,
    key: record.key,
    versionId: record.versionId,
    uri: cut(redactTarget(request.url ?? '')),
    range: headers.range === undefined ? undefined : cut(headers.range),
    status: record.status,
    errorCode: record.errorCode,
    cache: record.cache,
    bytes: record.bytes,
    objectBytes: objectSizeBytes,
    sources: record.sources,
    ms: Math.round(ms * 1000) / 1000,
    firstByteMs: firstByteMs === undefined ? undefined : Math.round(firstByteMs * 1000) / 1000,
    referer: headers.referer === undefined ? undefined : cut(redactTarget(headers.referer)),
    userAgent: headers['user-agent'] === undefined ? undefined : cut(headers['user-agent']),
    auth: authOf(record),
    tls: client.tlsVersion,
  });
}

/** 26 fields in S3's order; `-` for what is not known or does not exist here. */
function s3Line(record: AccessRecord): string {
  const { request, client, ms, firstByteMs } = record;
  const { method = '', url = '', httpVersion, headers } = request;
  const auth = authOf(record);
  return [
    '-',
    field(record.bucket),
    `[${s3Time(record.atMs)}]`,
    client.ip ?? '-',
    field(record.requester ?? ''),
    record.requestId,
    operationOf(record),
    record.key === '' ? '-' : encodePath(record.key.toWellFormed()),
    quoted(`${method} ${redactTarget(url)} HTTP/${httpVersion}`),
    record.status,
    record.errorCode ?? '-',
    record.bytes === 0 ? '-' : record.bytes,
    record.objectSizeBytes ?? '-',
    Math.round(ms),
    firstByteMs === undefined ? '-' : Math.round(firstByteMs),
    quoted(redactTarget(headers.referer ?? '-')),
    quoted(headers['user-agent'] ?? '-'),
    field(record.versionId ?? ''),
    record.requestId,
    auth === undefined ? '-' : 'SigV4',
    client.cipher ?? '-',
    auth ?? '-',
    field(headers.host ?? ''),
    client.tlsVersion ?? '-',
    '-',
    '-',
  ].join(' ');
}

/** `REST.GET.OBJECT`, `REST.GET.BUCKET`, `REST.GET.OBJECT_TAGGING`, `REST.GET.VERSIONING`. */
function operationOf({ request, bucket, key, subResource }: AccessRecord): string {
  const kind = bucket === '' ? 'SERVICE' : key === '' ? 'BUCKET' : 'OBJECT';
  const about = subResource?.toUpperCase().replaceAll('-', '_');
  const resource = about === undefined ? kind : kind === 'OBJECT' ? `OBJECT_${about}` : about;
  return `REST.${request.method ?? '-'}.${resource}`;
}

function authOf({ request, requester }: AccessRecord): 'AuthHeader' | 'QueryString' | undefined {
  if (requester === undefined) return undefined;
  return request.headers.authorization === undefined ? 'QueryString' : 'AuthHeader';
}

/** `06/Feb/2019:00:00:38 +0000` */
function s3Time(atMs: number): string {
  const [, day, month, year, time] = new Date(atMs).toUTCString().split(' ');
  return `${day}/${month}/${year}:${time} +0000`;
}

function quoted(text: string): string {
  return `"${cut(text)
    .replaceAll('"', '%22')
    .replaceAll(/\p{Cc}/gu, encodeURIComponent)}"`;
}

/** A field without quotes ends at a space. */
function field(text: string): string {
  return text === '' ? '-' : encodePath(cut(text).toWellFormed());
}

function cut(text: string): string {
  return text.length <= MAX_TEXT_LENGTH ? text : `${text.slice(0, MAX_TEXT_LENGTH)}...`;
}
