/**
 * Documents, such as pages of lists. Node queues them outside of pooled memory until the client reads them, so they are
 * counted, each waits for its turn on the connection, and none is made while too much is queued.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { OrcaError } from '#cache/core/errors.ts';
import { abortOnClose } from './http-listener.ts';
import { ownSocket } from './send-body.ts';
import type { QueuedMemory } from './unsent-limit.ts';

/** Smaller documents are not worth a listener; Node's own state of a connection takes as much. */
const COUNTED_BYTES = 16 * 1024;

/** `send` makes the document and passes all of it to `response`. */
export async function sendDocument<T>(
  request: IncomingMessage,
  response: ServerResponse,
  memory: QueuedMemory,
  send: () => Promise<T>,
): Promise<T> {
  if (response.socket === null) await ownSocket(response, abortOnClose(request, response));
  if (memory.isQueueFull) throw new OrcaError('overloaded', 'clients do not read their responses');
  const result = await send();
  const queuedBytes = response.writableLength;
  if (queuedBytes >= COUNTED_BYTES && !response.closed) {
    memory.countQueued(queuedBytes);
    response.once('close', () => memory.countQueued(-queuedBytes));
  }
  return result;
}
