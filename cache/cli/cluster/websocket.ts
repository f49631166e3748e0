/**
 * The client's side of WebSocket (RFC 6455), as far as `exec` needs it: frames of a server, unmasked and without
 * extensions. Node's own WebSocket takes no agent, and so no certificates of a kubeconfig.
 */
import { createHash, randomBytes } from 'node:crypto';
import { KubeError } from '#shared/kube/error.ts';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const CLOSE = 8;
const PING = 9;
const FINAL = 0x80;
const MASKED = 0x80;
/** Output of `purge` has a line for each key. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

export function newKey(): string {
  return randomBytes(16).toString('base64');
}

export function acceptOf(key: string): string {
  return createHash('sha1')
    .update(key + GUID)
    .digest('base64');
}

/** The messages of a connection, until its close frame or its end. `pong` is called with the answer to a ping. */
export async function* readMessages(
  socket: AsyncIterable<Buffer>,
  head: Buffer,
  pong: (frame: Buffer) => void,
): AsyncGenerator<Buffer, void, void> {
  let buffered = head;
  let message: Buffer[] = [];
  let messageBytes = 0;
  for (let ended = false, iterator = socket[Symbol.asyncIterator](); ;) {
    for (let frame = parseFrame(buffered); frame !== undefined; frame = parseFrame(buffered)) {
      buffered = buffered.subarray(frame.lengthBytes);
      if (frame.opcode === CLOSE) return;
      if (frame.opcode === PING) pong(clientFrame(PING + 1, frame.payload));
      if (frame.opcode >= CLOSE) continue;
      message.push(frame.payload);
      messageBytes += frame.payload.length;
      if (messageBytes > MAX_MESSAGE_BYTES) throw new KubeError(0, 'Malformed', 'exec: a message is too large');
      if (!frame.isFinal) continue;
      yield Buffer.concat(message);
      [message, messageBytes] = [[], 0];
    }
    if (ended) return;
    const { done, value } = await iterator.next();
    if (done === true) ended = true;
    else buffered = Buffer.concat([buffered, value]);
  }
}

interface Frame {
  readonly isFinal: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
  readonly lengthBytes: number;
}

/** Undefined = not all of it has arrived. */
export function parseFrame(bytes: Buffer): Frame | undefined {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return undefined;
  if ((second & MASKED) !== 0) throw new KubeError(0, 'Malformed', 'exec: the server masks its frames');
  const short = second & 0x7f;
  const headBytes = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < headBytes) return undefined;
  const sizeBytes = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (sizeBytes > MAX_MESSAGE_BYTES) throw new KubeError(0, 'Malformed', 'exec: a frame is too large');
  if (bytes.length < headBytes + sizeBytes) return undefined;
  const payload = bytes.subarray(headBytes, headBytes + sizeBytes);
  return { isFinal: (first & FINAL) !== 0, opcode: first & 0x0f, payload, lengthBytes: headBytes + sizeBytes };
}

/** A control frame, masked as those of clients must be. */
function clientFrame(opcode: number, payload: Buffer): Buffer {
  const mask = randomBytes(4);
  const body = Buffer.from(payload.subarray(0, 125).map((byte, at) => byte ^ mask[at % 4]!));
  return Buffer.concat([Buffer.from([FINAL | opcode, MASKED | body.length]), mask, body]);
}
