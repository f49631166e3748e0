/** The supervisor's end of the channel to one worker process: requests with answers, each within a time limit. */
import { OrcaError } from '#cache/core/errors.ts';
import type { Clock } from '#shared/clock.ts';
import type { FromWorker, OpsAnswer, OpsRequest, ToWorker } from './messages.ts';

/** Probes, a scrape, the operator and a few people at once; a worker that is stuck must not collect more. */
export const MAX_IN_FLIGHT = 64;

export interface Channel {
  /** Rejects with `overloaded` if there is no answer in time, or if too many are awaited. */
  ask(request: OpsRequest, timeoutMs: number): Promise<OpsAnswer>;
  /** Takes an answer to one of the requests. */
  receive(message: Extract<FromWorker, { readonly type: 'answer' }>): void;
  /** Rejects what is in flight, and every later request. */
  close(): void;
}

interface Waiting {
  resolve(answer: OpsAnswer): void;
  reject(error: OrcaError): void;
  cancelTimer(): void;
}

/** `send` may throw: the process may have ended. */
export function openChannel(send: (message: ToWorker) => void, clock: Clock): Channel {
  const waiting = new Map<number, Waiting>();
  let nextId = 1;
  let isClosed = false;
  const take = (id: number): Waiting | undefined => {
    const found = waiting.get(id);
    waiting.delete(id);
    found?.cancelTimer();
    return found;
  };
  return {
    async ask(request, timeoutMs) {
      if (isClosed) throw ended();
      if (waiting.size >= MAX_IN_FLIGHT)
        throw new OrcaError('overloaded', `${MAX_IN_FLIGHT} requests to the worker are not answered yet`);
      const id = nextId++;
      const { promise, resolve, reject } = Promise.withResolvers<OpsAnswer>();
      const cancelTimer = clock.after(timeoutMs, () => take(id)?.reject(late(timeoutMs)));
      waiting.set(id, { resolve, reject, cancelTimer });
      try {
        send({ type: 'ask', id, ...request });
      } catch (cause) {
        take(id)?.reject(ended(cause));
      }
      return promise;
    },
    receive: ({ id, status, headers, body }) => take(id)?.resolve({ status, headers, body }),
    close() {
      isClosed = true;
      for (const id of waiting.keys()) take(id)?.reject(ended());
    },
  };
}

function ended(cause?: unknown): OrcaError {
  return new OrcaError('overloaded', 'the worker has ended', { cause });
}

function late(timeoutMs: number): OrcaError {
  return new OrcaError('overloaded', `the worker did not respond within ${timeoutMs} ms`);
}
