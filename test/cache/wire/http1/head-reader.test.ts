import { assert, array, nat, property } from 'fast-check';
import { expect, test } from 'vitest';
import { createHeadReader } from '#cache/wire/http1/head-reader.ts';

/** Feeds `bytes` split at `cuts`, reusing one read buffer as a connection does. */
function readAll(bytes: Buffer, cuts: readonly number[]): { statuses: number[]; rest: string } {
  const reader = createHeadReader();
  const statuses: number[] = [];
  let rest = '';
  const points = [0, ...cuts.map((cut) => cut % bytes.length).toSorted((a, b) => a - b), bytes.length];
  for (let index = 1; index < points.length; index++) {
    const memory = Buffer.from(bytes.subarray(points[index - 1], points[index]));
    let piece: Uint8Array = memory;
    while (piece.length > 0 && statuses.at(-1) !== 200) {
      const { head, consumed } = reader.push(piece);
      if (head !== undefined) statuses.push(head.status);
      piece = piece.subarray(consumed);
    }
    rest += Buffer.from(piece).toString('latin1');
    memory.fill(0xdb);
  }
  return { statuses, rest };
}

test('heads are found however the reads are split, and bytes behind the last one are left', () => {
  const text =
    'HTTP/1.1 102 Processing\r\nX-Long: value\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody\r\n\r\nx';
  const bytes = Buffer.from(text, 'latin1');
  assert(
    property(array(nat(), { maxLength: 12 }), (cuts) => {
      expect(readAll(bytes, cuts)).toEqual({ statuses: [102, 100, 200], rest: 'body\r\n\r\nx' });
    }),
    { examples: [[Array.from({ length: bytes.length }, (_, index) => index)]] },
  );
});

test('an endless head is refused at 64 KiB', () => {
  const reader = createHeadReader();
  const line = Buffer.from(`HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(1000)}`);
  expect(() => {
    for (let index = 0; index < 9; index++) reader.push(line);
  }).toThrow(expect.objectContaining({ failure: 'protocol' }));
});
