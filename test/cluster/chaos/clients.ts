/**
 * The clients of a case, in a process of their own with priority over the cluster on the same cores: in a real cluster
 * they are other machines. Clients that do not run for seconds, because they wait for a core or for a process that they
 * start, send their next requests on connections that the server has closed meanwhile. These fail, which shows nothing
 * about the server.
 */
import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { abortable } from '#shared/abortable.ts';
import type { LoadOptions } from './load.ts';
import type { Tally } from './tally.ts';

const exec = promisify(execFile);
/** More than all attempts of a read take. */
const ANSWER_MS = 180_000;

export type LoadShape = Omit<LoadOptions, 'reader' | 'tally'>;

export type ToClients =
  | { readonly type: 'read-known' }
  | { readonly type: 'start'; readonly load: LoadShape }
  | { readonly type: 'stop' };

export type FromClients =
  | { readonly type: 'progress'; readonly coldBytes: number }
  | { readonly type: 'done'; readonly tally: Tally; readonly coldBytes: number };

type Done = Extract<FromClients, { readonly type: 'done' }>;

export interface RunningLoad {
  /** Bytes of new objects that were read completely, as of a moment ago; each byte counts once. */
  readonly coldBytes: number;
  /** Starts no further reads, and resolves with all outcomes when the running ones have ended. */
  stop(): Promise<{ readonly tally: Tally; readonly coldBytes: number }>;
}

export interface Clients extends AsyncDisposable {
  /** Reads each known object once. */
  readKnown(): Promise<Tally>;
  start(load: LoadShape): RunningLoad;
}

/** `edge`: `host:port`. */
export async function openClients(edge: string, bucket: string): Promise<Clients> {
  const child = fork(join(import.meta.dirname, 'client-main.ts'), [edge, bucket], { serialization: 'advanced' });
  const exited = once(child, 'exit');
  let coldBytes = 0;
  let settle: (done: Done) => void = () => {};
  child.on('message', (message: FromClients) => {
    coldBytes = message.coldBytes;
    if (message.type === 'done') settle(message);
  });
  const ended = new AbortController();
  child.on('exit', (code, by) => ended.abort(new Error(`the process of the clients has ended: ${by ?? code}`)));
  const send = (message: ToClients): void =>
    void child.send(message, (cause) => {
      if (cause !== null) ended.abort(new Error('the process of the clients cannot be reached', { cause }));
    });
  const ask = (message: ToClients): Promise<Done> => {
    const { promise, resolve } = Promise.withResolvers<Done>();
    settle = resolve;
    send(message);
    return abortable(promise, AbortSignal.any([ended.signal, AbortSignal.timeout(ANSWER_MS)]));
  };
  await prioritize(child);
  return {
    async readKnown() {
      return (await ask({ type: 'read-known' })).tally;
    },
    start(load) {
      coldBytes = 0;
      send({ type: 'start', load });
      return {
        get coldBytes() {
          return coldBytes;
        },
        stop: () => ask({ type: 'stop' }),
      };
    },
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}

/**
 * Real-time scheduling, https://man7.org/linux/man-pages/man7/sched.7.html: the clients need a small share of the CPU
 * time, but at once. Where the machine rejects it, they are only slower.
 */
async function prioritize({ pid }: ChildProcess): Promise<void> {
  await exec('chrt', ['--rr', '--pid', '1', String(pid)]).catch((error: unknown) =>
    console.warn('the clients get no priority:', error),
  );
}
