import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { watchFrames } from '#shared/kube/watch-frames.ts';
import { codePoint } from '#test/support/fuzz.ts';

async function collect(chunks: readonly Buffer[], maxFrameBytes = 1000): Promise<string[]> {
  async function* source(): AsyncGenerator<Buffer> {
    yield* chunks;
  }
  const lines: string[] = [];
  for await (const line of watchFrames(source(), maxFrameBytes)) lines.push(line);
  return lines;
}

test('yields the same frames for any split of the bytes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: codePoint })), fc.array(fc.nat(40)), async (values, cuts) => {
      const lines = values.map((value) => JSON.stringify(value));
      const body = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      const chunks: Buffer[] = [];
      let from = 0;
      for (const cut of cuts) {
        chunks.push(body.subarray(from, from + cut));
        from += cut;
      }
      chunks.push(body.subarray(from));
      expect(await collect(chunks, 1_000_000)).toEqual(lines);
    }),
  );
});

test('drops an incomplete frame', async () => {
  expect(await collect([Buffer.from('{"a":1}\n{"b"')])).toEqual(['{"a":1}']);
});

test('rejects a frame that is too long', async () => {
  await expect(collect([Buffer.alloc(600, 'x'), Buffer.alloc(600, 'x')])).rejects.toThrow('exceeds 1000 bytes');
});
