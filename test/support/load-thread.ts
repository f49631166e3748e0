/**
 * Clients under load in a thread of their own. What they decrypt and compare would otherwise delay the origin and the
 * cachestore of the test, until the cache takes them for unavailable.
 */
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { startClient, type LoadClient } from './load-client.ts';

type Order =
  | { readonly id: number; readonly start: Parameters<typeof startClient> }
  | { readonly id: number; readonly call: 'hurry' | 'leave' };

interface State {
  readonly id: number;
  readonly gotBytes: number;
  readonly refusals: number;
  readonly outcome?: Awaited<LoadClient['ended']>;
}

/** How often the states of running clients are sent. */
const REPORT_MS = 100;

export interface LoadThread extends AsyncDisposable {
  start(...args: Parameters<typeof startClient>): LoadClient;
}

export function startLoadThread(): LoadThread {
  const worker = new Worker(new URL(import.meta.url));
  const clients: { readonly take: (state: State) => void; readonly fail: (error: unknown) => void }[] = [];
  worker.on('message', (state: State) => clients[state.id]?.take(state));
  worker.on('error', (error) => clients.forEach(({ fail }) => fail(error)));
  const post = (order: Order): void => worker.postMessage(order, []);
  return {
    start(...args) {
      const id = clients.length;
      const { promise: ended, resolve, reject: fail } = Promise.withResolvers<Awaited<LoadClient['ended']>>();
      let state: State = { id, gotBytes: 0, refusals: 0 };
      clients.push({
        take: (next) => {
          state = next;
          if (next.outcome !== undefined) resolve(next.outcome);
        },
        fail,
      });
      post({ id, start: args });
      return {
        key: args[2],
        ended,
        get gotBytes() {
          return state.gotBytes;
        },
        get refusals() {
          return state.refusals;
        },
        get isOver() {
          return state.outcome !== undefined;
        },
        hurry: () => post({ id, call: 'hurry' }),
        leave: () => post({ id, call: 'leave' }),
      };
    },
    async [Symbol.asyncDispose]() {
      await worker.terminate();
    },
  };
}

function serve(port: NonNullable<typeof parentPort>): void {
  const clients = new Map<number, LoadClient>();
  const report = (id: number, { gotBytes, refusals }: LoadClient, outcome?: State['outcome']): void =>
    port.postMessage({ id, gotBytes, refusals, ...(outcome !== undefined && { outcome }) } satisfies State);
  port.on('message', (order: Order) => {
    const { id } = order;
    if (!('start' in order)) {
      clients.get(id)?.[order.call]();
      return;
    }
    const client = startClient(...order.start);
    clients.set(id, client);
    void client.ended.then((outcome) => {
      clients.delete(id);
      report(id, client, outcome);
    });
  });
  setInterval(() => {
    for (const [id, client] of clients) report(id, client);
  }, REPORT_MS);
}

if (!isMainThread && parentPort !== null) serve(parentPort);
