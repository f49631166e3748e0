import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { abortOnClose } from '#cache/http/listener/http-listener.ts';

function open() {
  const socket = new EventEmitter();
  const begin = () => {
    const response = new EventEmitter();
    const signal = abortOnClose({ socket } as unknown as IncomingMessage, response as unknown as ServerResponse);
    return { response, signal };
  };
  return { socket, begin };
}

test('a connection that closes before the response is finished aborts the request', () => {
  const { socket, begin } = open();
  const { signal } = begin();
  socket.emit('close');
  expect(signal).toMatchObject({ aborted: true, reason: { code: 'cancelled' } });
});

test('a finished response leaves no listener on its connection, and is not aborted later', () => {
  const { socket, begin } = open();
  const signals = Array.from({ length: 20 }, () => {
    const { response, signal } = begin();
    response.emit('finish');
    return signal;
  });
  expect(socket.listenerCount('close')).toBe(0);
  socket.emit('close');
  expect(signals.every(({ aborted }) => !aborted)).toBe(true);
});
