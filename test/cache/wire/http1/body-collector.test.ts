import { array, assert, nat, property } from 'fast-check';
import { expect, test } from 'vitest';
import { createBodyCollector, MAX_COLLECTED_BYTES } from '#cache/wire/http1/body-collector.ts';

const push = (
  framing: Parameters<typeof createBodyCollector>[0],
  ...texts: string[]
): { states: string[]; body: string } => {
  const collector = createBodyCollector(framing);
  return {
    states: texts.map((text) => collector.push(Buffer.from(text, 'latin1'))),
    body: collector.body().toString('latin1'),
  };
};

test('a body with a length is complete exactly at that length', () => {
  expect(push({ kind: 'length', lengthBytes: 5 }, 'ab', 'cde')).toEqual({
    states: ['more', 'complete'],
    body: 'abcde',
  });
});

test('bytes beyond the length make the connection unusable', () => {
  expect(push({ kind: 'length', lengthBytes: 5 }, 'abcdef')).toEqual({ states: ['full'], body: 'abcde' });
});

test('a chunked body is reassembled however the reads are split', () => {
  const text = '5\r\nhello\r\n1;name=value\r\n \r\nA \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n';
  assert(
    property(array(nat(text.length - 1), { maxLength: 10 }), (cuts) => {
      const points = [0, ...cuts.toSorted((a, b) => a - b), text.length];
      const { states, body } = push(
        { kind: 'chunked' },
        ...points.slice(1).map((point, index) => text.slice(points[index], point)),
      );
      expect(body).toBe('hello 0123456789');
      expect(states.at(-1)).toBe('complete');
      expect(states.slice(0, -1).every((state) => state === 'more')).toBe(true);
    }),
  );
});

test.for(['x\r\n', '-5\r\n', '\r\n', '5\nhello', '5\r\nhelloX\r\n', ' 5\r\n', '1234567890abcdef0\r\n'])(
  'the chunked body %j is refused',
  (text) => {
    expect(() => push({ kind: 'chunked' }, text)).toThrow(expect.objectContaining({ failure: 'protocol' }));
  },
);

test('a body that ends with the connection is never reported complete', () => {
  const collector = createBodyCollector({ kind: 'until-close' });
  expect(collector.endsWithConnection).toBe(true);
  expect(collector.push(Buffer.from('abc'))).toBe('more');
  expect(collector.body().toString()).toBe('abc');
});

test.for([{ kind: 'until-close' }, { kind: 'length', lengthBytes: 1_000_000 }] as const)(
  'a long body is truncated to 64 KiB: %j',
  (framing) => {
    const collector = createBodyCollector(framing);
    const piece = Buffer.alloc(40_000, 'a');
    expect(collector.push(piece)).toBe('more');
    expect(collector.push(piece)).toBe('full');
    expect(collector.body()).toHaveLength(MAX_COLLECTED_BYTES);
  },
);

test('collected bytes do not change when the read buffer is reused', () => {
  const collector = createBodyCollector({ kind: 'length', lengthBytes: 6 });
  const memory = Buffer.from('abc');
  collector.push(memory);
  memory.fill('x');
  collector.push(Buffer.from('def'));
  expect(collector.body().toString()).toBe('abcdef');
});
