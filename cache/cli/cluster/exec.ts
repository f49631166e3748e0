/** `pods/exec` over WebSocket, as kubectl does since 1.31: one command, its output, and its exit code. */
import * as http from 'node:http';
import * as https from 'node:https';
import type { Socket } from 'node:net';
import { withoutBrackets } from '#shared/host-name.ts';
import type { ApiServer } from '#shared/kube/api-request.ts';
import { errorFromStatus, KubeError } from '#shared/kube/error.ts';
import { itemsAt, textAt } from '#cache/cli/replies/fields.ts';
import type { ExecResult } from './cluster.ts';
import { acceptOf, newKey, readMessages } from './websocket.ts';

const PROTOCOLS = 'v5.channel.k8s.io, v4.channel.k8s.io';
/** The first byte of a message. */
const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
const MAX_ERROR_BYTES = 64 * 1024;

export interface ExecOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export async function execInPod(
  server: ApiServer,
  path: string,
  command: readonly string[],
  { timeoutMs, signal }: ExecOptions,
): Promise<ExecResult> {
  const late = new AbortController();
  const timer = setTimeout(
    () => late.abort(new KubeError(0, 'Timeout', `exec: not finished within ${timeoutMs} ms`)),
    timeoutMs,
  );
  const either = AbortSignal.any([signal, late.signal]);
  let socket: Socket | undefined;
  const stop = (): void => void socket?.destroy(either.reason as Error);
  try {
    const opened = await upgrade(server, path, command, either);
    socket = opened.socket;
    either.addEventListener('abort', stop, { once: true });
    return await collect(opened.socket, opened.head);
  } catch (error) {
    throw either.aborted ? either.reason : error;
  } finally {
    clearTimeout(timer);
    either.removeEventListener('abort', stop);
    socket?.destroy();
  }
}

async function upgrade(
  server: ApiServer,
  path: string,
  command: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly socket: Socket; readonly head: Buffer }> {
  const { url } = server;
  const { headers, agent } = await server.authorize();
  const query = new URLSearchParams(command.map((word) => ['command', word]));
  query.set('stdout', 'true');
  query.set('stderr', 'true');
  const key = newKey();
  const request = (url.protocol === 'http:' ? http : https).request({
    method: 'GET',
    hostname: withoutBrackets(url.hostname),
    port: url.port === '' ? (url.protocol === 'http:' ? 80 : 443) : url.port,
    path: `${url.pathname.replace(/\/$/, '')}${path}?${query.toString()}`,
    agent,
    signal,
    headers: {
      host: url.host,
      ...headers,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': key,
      'sec-websocket-protocol': PROTOCOLS,
    },
  });
  return new Promise((resolve, reject) => {
    request.once('error', (error) =>
      reject(new KubeError(0, 'Unreachable', `exec: ${error.message}`, { cause: error })),
    );
    request.once('response', (response) => {
      refusalOf(response).then(reject, reject);
    });
    request.once('upgrade', (response, socket: Socket, head) => {
      if (response.headers['sec-websocket-accept'] === acceptOf(key)) return resolve({ socket, head });
      socket.destroy();
      reject(new KubeError(0, 'Malformed', 'exec: the answer is not that of a WebSocket server'));
    });
    request.end();
  });
}

async function refusalOf(response: http.IncomingMessage): Promise<KubeError> {
  let text = '';
  for await (const part of response as AsyncIterable<Buffer>) {
    text += part.toString('utf8');
    if (text.length > MAX_ERROR_BYTES) break;
  }
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    body = { kind: 'Status', message: text.slice(0, 200) };
  }
  return errorFromStatus('exec', response.statusCode ?? 0, body);
}

async function collect(socket: Socket, head: Buffer): Promise<ExecResult> {
  const output: Record<number, string> = { [STDOUT]: '', [STDERR]: '' };
  let exitCode: number | undefined;
  for await (const message of readMessages(socket, head, (frame) => void socket.write(frame))) {
    const [channel = 0] = message;
    const text = message.toString('utf8', 1);
    if (channel === STATUS) exitCode = exitCodeOf(text);
    else if (channel in output) output[channel] = (output[channel] + text).slice(0, MAX_OUTPUT_BYTES);
    if (exitCode !== undefined) break;
  }
  if (exitCode === undefined)
    throw new KubeError(0, 'Unreachable', 'exec: the connection was lost before the command ended');
  return { exitCode, stdout: output[STDOUT] ?? '', stderr: output[STDERR] ?? '' };
}

/** Throws for a failure other than a command that ran and exited. */
function exitCodeOf(json: string): number {
  const status = JSON.parse(json) as unknown;
  if (textAt(status, 'status') === 'Success') return 0;
  const cause = itemsAt(status, 'details', 'causes').find(({ reason }) => reason === 'ExitCode');
  const code = Number(textAt(cause, 'message'));
  if (Number.isInteger(code) && code > 0) return code;
  throw new KubeError(0, textAt(status, 'reason'), `exec: ${textAt(status, 'message')}`);
}
