import { expect, test } from 'vitest';
import { KnownPieces } from '#cache/engine/memory/known-pieces.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';

function open(count: number) {
  const released: number[] = [];
  const pieces = Array.from({ length: count }, (_, number): Piece => {
    return { bytes: Uint8Array.of(number), source: 'memory', release: () => released.push(number) };
  });
  return { body: new KnownPieces(pieces), pieces, released };
}

test('yields the pieces in order, and leaves their release to the caller', async () => {
  const { body, pieces, released } = open(2);
  const taken: Piece[] = [];
  for await (const piece of body) taken.push(piece);
  expect(taken).toEqual(pieces);
  expect(released).toEqual([]);
});

test('a body that is left early releases its remaining pieces', async () => {
  const { body, released } = open(3);
  for await (const piece of body) {
    piece.release();
    break;
  }
  expect(released).toEqual([0, 1, 2]);
  expect(await body.next()).toEqual({ done: true, value: undefined });
});

test('a body that was never read releases all pieces, once', async () => {
  const { body, released } = open(2);
  await body.return();
  await body[Symbol.asyncDispose]();
  await expect(body.throw(new Error('failed'))).rejects.toThrow('failed');
  expect(released).toEqual([0, 1]);
});

test('what is taken at once are its remaining pieces', async () => {
  const { body, pieces, released } = open(3);
  await body.next();
  expect(body.takeAll()).toEqual(pieces.slice(1));
  expect(body.takeAll()).toEqual([]);
  await body.return();
  expect(released).toEqual([]);
});
