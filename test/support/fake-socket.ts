/** A fake response and socket for `sendBody`: the test decides when written bytes are taken. */
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface FakeSocket {
  readonly response: ServerResponse;
  readonly socket: Socket;
  /** The lengths of the writes that are queued and not taken yet. */
  readonly queued: readonly number[];
  /** All bytes that were taken, in order. */
  bytes(): Buffer;
  /** Takes the oldest `count` writes, as the kernel does, and calls their callbacks. */
  take(count?: number): Promise<void>;
  /** From now on takes every write in the next turn of the event loop, or as `soon` schedules it. */
  flow(soon?: (take: () => void) => void): Promise<void>;
  /** Closes the connection: the callbacks of queued writes are never called, as with pipelined requests. */
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
