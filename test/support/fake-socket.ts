/** What `sendBody` sees of a response and its socket: bytes are taken when a test says so. */
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface FakeSocket {
  readonly response: ServerResponse;
  readonly socket: Socket;
  /** Writes that are handed over and not taken yet, by length. */
  readonly queued: readonly number[];
  /** All that was taken, in order. */
  bytes(): Buffer;
  /** Takes the oldest `count` writes, as the kernel does; their callbacks come. */
  take(count?: number): Promise<void>;
  /** Takes whatever comes from now on, in the event loop's next turn, or `soon`. */
  flow(soon?: (take: () => void) => void): Promise<void>;
  /** The connection is gone: of what was not taken no callback comes, as with pipelined requests. */
  close(): void;
}

export function fakeSocket(): FakeSocket {
  const socket = Object.assign(new EventEmitter(), { destroyed: false, closed: false });
  const queue: { readonly bytes: Uint8Array; readonly callback: () => void }[] = [];
  const taken: Buffer[] = [];
  let isFinished = false;
  let soon: ((take: () => void) => void) | undefined;
  const takeOne = () => {
    const first = queue.shift();
    if (first === undefined) return;
    taken.push(Buffer.from(first.bytes));
    first.callback();
  };
  const write = (bytes: Uint8Array, callback: () => void) => {
    queue.push({ bytes, callback });
    soon?.(takeOne);
  };
  const response = {
    write,
    end(bytes: Uint8Array, callback: () => void) {
      isFinished = true;
      write(bytes, callback);
    },
    get writableFinished() {
      return isFinished && queue.length === 0;
    },
  };
  return {
    response: response as unknown as ServerResponse,
    socket: socket as unknown as Socket,
    get queued() {
      return queue.map(({ bytes }) => bytes.length);
    },
    bytes: () => Buffer.concat(taken),
    async take(count = 1) {
      for (let i = 0; i < count; i++) {
        takeOne();
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    async flow(how = setImmediate) {
      soon = how;
      while (queue.length > 0) await this.take();
    },
    close() {
      socket.destroyed = socket.closed = true;
      socket.emit('close');
    },
  };
}
