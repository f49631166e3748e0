/** The conformance suite of the Origin port, for the fake and every driver. */
import { assert, asyncProperty, integer, nat } from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { ObjectVersion } from '#cache/core/object.ts';
import type { Origin } from '#cache/engine/ports.ts';
import { patternBytes } from '#test/support/chunks.ts';
import { collectSink } from '#test/support/collect-sink.ts';

export interface OriginFixture extends AsyncDisposable {
  readonly origin: Origin;
  /** An existing bucket. */
  readonly bucket: string;
  put(key: string, body: Uint8Array, headers?: Record<string, string>): Promise<void>;
  remove(key: string): Promise<void>;
}

export const AWKWARD_KEYS = [
  'with space',
  'paren(theses)',
  'plus+sign',
  'percent%25 and %2F and %',
  'double//slash',
  'dots/../up',
  'dot/./here',
  "quote'star*bang!tilde~",
  'question?hash#amp&equals=',
  'crème brûlée/日本語/🐋',
  'semi;colon:comma,at@dollar$',
  'back\\slash^caret`tick{brace}|pipe"quote<angle>[bracket]',
] as const;

/** A key of `lengthBytes` in UTF-8, in segments that filesystems accept. */
export function longKey(lengthBytes: number): string {
  const accents = `${'é'.repeat(100)}/`.repeat(4);
  return accents + `${'k'.repeat(99)}/`.repeat(10).slice(0, lengthBytes - Buffer.byteLength(accents) - 1) + 'z';
}

/** Limits of a kind of origin, to which the suite adapts its expectations. */
export interface OriginCapabilities {
  /** Default 1024, the limit of S3. */
  readonly longestKeyBytes?: number;
  /** Keys with the segments `.` and `..`: kept as they are (the default), or rejected with `bad_request`. */
  readonly dotSegments?: 'kept' | 'refused';
}

export function originSuite(
  name: string,
  open: () => Promise<OriginFixture>,
  { longestKeyBytes = 1024, dotSegments = 'kept' }: OriginCapabilities = {},
): void {
  describe(`the origin ${name}`, () => {
    let fixture: OriginFixture;
    const signal = new AbortController().signal;
    const body = patternBytes(300_000, 7);

    beforeAll(async () => {
      fixture = await open();
      await fixture.put('object', body, {
        'content-type': 'text/x-test',
        'cache-control': 'max-age=60',
        'x-amz-meta-owner': 'me',
      });
    });
    afterAll(async () => {
      await fixture[Symbol.asyncDispose]();
    });

    const versionOf = async (key: string): Promise<ObjectVersion> => {
      const head = await fixture.origin.head(fixture.bucket, key, { signal });
      return { originId: 'test', bucket: fixture.bucket, key, etag: head.etag, sizeBytes: head.sizeBytes };
    };
    const readAll = async (object: ObjectVersion): Promise<Buffer> => {
      const sink = collectSink();
      await fixture.origin.read(object, { from: 0, to: object.sizeBytes }, sink, { signal });
      return sink.bytes();
    };

    test('a head reports ETag, size, time and the headers of the representation', async () => {
      const head = await fixture.origin.head(fixture.bucket, 'object', { signal });
      expect(head.sizeBytes).toBe(body.length);
      expect(head.etag).toMatch(/^[^"]+$/);
      expect(head.lastModifiedMs).toBeGreaterThan(Date.UTC(2020, 0, 1));
      expect(head.lastModifiedMs % 1000).toBe(0);
      expect(head.headers).toMatchObject({
        'content-type': 'text/x-test',
        'cache-control': 'max-age=60',
        'x-amz-meta-owner': 'me',
      });
      expect(head.headers).not.toHaveProperty('content-length');
      expect(head.headers).not.toHaveProperty('etag');
    });

    test('a head of an empty object reports size 0', async () => {
      await fixture.put('empty', Buffer.alloc(0));
      expect(await fixture.origin.head(fixture.bucket, 'empty', { signal })).toMatchObject({ sizeBytes: 0 });
    });

    test('a read returns exactly the bytes of any range', async () => {
      const object = await versionOf('object');
      await assert(
        asyncProperty(
          nat(body.length - 1),
          nat(body.length - 1),
          integer({ min: 1000, max: 100_000 }),
          async (a, b, windowBytes) => {
            const range = { from: Math.min(a, b), to: Math.max(a, b) + 1 };
            const sink = collectSink({ windowBytes });
            await fixture.origin.read(object, range, sink, { signal });
            expect(sink.bytes().equals(body.subarray(range.from, range.to))).toBe(true);
          },
        ),
        {
          numRuns: 25,
          examples: [
            [0, 0, 1000],
            [body.length - 1, body.length - 1, 7],
            [1000, 1999, 1],
            [0, body.length - 1, 65_536],
          ],
        },
      );
    });

    test('a sink that pauses after each window of 1 MiB receives every byte once', async () => {
      const big = patternBytes(9 * 1024 * 1024 + 13, 3);
      await fixture.put('big', big);
      const sink = collectSink({ windowBytes: 1024 * 1024, pauseAfterWindow: true });
      const object = await versionOf('big');
      await fixture.origin.read(object, { from: 5, to: big.length }, sink, { signal });
      expect(sink.bytes().equals(big.subarray(5))).toBe(true);
      expect(sink.pauses).toBeGreaterThan(0);
    });

    test('16 concurrent reads do not mix', async () => {
      const object = await versionOf('object');
      const ranges = Array.from({ length: 16 }, (_, index) => ({ from: index * 1000, to: 200_000 + index * 5000 }));
      const bodies = await Promise.all(
        ranges.map(async (range) => {
          const sink = collectSink({ windowBytes: 30_000, pauseAfterWindow: true });
          await fixture.origin.read(object, range, sink, { signal });
          return sink.bytes();
        }),
      );
      expect(bodies.every((bytes, index) => bytes.equals(body.subarray(ranges[index]?.from, ranges[index]?.to)))).toBe(
        true,
      );
    });

    test('a read of another ETag is object_changed, without a byte', async () => {
      const sink = collectSink();
      const object = { ...(await versionOf('object')), etag: 'another' };
      await expect(fixture.origin.read(object, { from: 0, to: 10 }, sink, { signal })).rejects.toMatchObject({
        code: 'object_changed',
      });
      expect(sink.lengthBytes).toBe(0);
    });

    test('an object replaced after its head is object_changed', async () => {
      await fixture.put('replaced', patternBytes(5000, 1));
      const before = await versionOf('replaced');
      await fixture.put('replaced', patternBytes(5000, 2));
      await expect(fixture.origin.read(before, { from: 0, to: 5000 }, collectSink(), { signal })).rejects.toMatchObject(
        { code: 'object_changed' },
      );
      expect((await readAll(await versionOf('replaced'))).equals(patternBytes(5000, 2))).toBe(true);
    });

    test("a size that is not the object's is object_changed", async () => {
      const object = await versionOf('object');
      const other = { ...object, sizeBytes: object.sizeBytes + 1 };
      await expect(fixture.origin.read(other, { from: 0, to: 10 }, collectSink(), { signal })).rejects.toMatchObject({
        code: 'object_changed',
      });
    });

    test('a missing key is not_found, in a head and in a read', async () => {
      await expect(fixture.origin.head(fixture.bucket, 'missing', { signal })).rejects.toMatchObject({
        code: 'not_found',
      });
      await fixture.put('deleted', body);
      const object = await versionOf('deleted');
      await fixture.remove('deleted');
      await expect(fixture.origin.read(object, { from: 0, to: 1 }, collectSink(), { signal })).rejects.toMatchObject({
        code: 'not_found',
      });
    });

    test('a missing bucket is distinguished from a missing key', async () => {
      await expect(fixture.origin.head('no-such-bucket', 'object', { signal })).rejects.toMatchObject({
        code: 'bucket_not_found',
      });
      await expect(fixture.origin.probe('no-such-bucket', '', { signal })).rejects.toMatchObject({
        code: 'bucket_not_found',
      });
    });

    test('a probe of an existing bucket reports it as reachable', async () => {
      expect(await fixture.origin.probe(fixture.bucket, 'some/prefix/', { signal })).toBe('reachable');
    });

    test('an aborted call ends as cancelled, or with the reason of its signal', async () => {
      await expect(
        fixture.origin.head(fixture.bucket, 'object', { signal: AbortSignal.abort() }),
      ).rejects.toMatchObject({ code: 'cancelled' });
      const reason = new OrcaError('overloaded', 'out of time');
      await expect(fixture.origin.head(fixture.bucket, 'object', { signal: AbortSignal.abort(reason) })).rejects.toBe(
        reason,
      );
    });

    test('a read aborted in the middle ends at once, its bytes are valid, and the next read works', async () => {
      const object = await versionOf('object');
      const aborter = new AbortController();
      const sink = collectSink({ windowBytes: 10_000, pauseAtBytes: 10_000 });
      const reading = fixture.origin.read(object, { from: 100, to: body.length }, sink, { signal: aborter.signal });
      await sink.has(10_000);
      aborter.abort();
      await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
      expect(sink.bytes().equals(body.subarray(100, 100 + sink.lengthBytes))).toBe(true);
      expect((await readAll(object)).equals(body)).toBe(true);
    });

    const hasDotSegment = (key: string): boolean => /(?:^|\/)\.\.?(?:\/|$)/.test(key);
    const keys = [...AWKWARD_KEYS, longKey(longestKeyBytes)];
    const [refused, kept] =
      dotSegments === 'refused' ? [keys.filter(hasDotSegment), keys.filter((key) => !hasDotSegment(key))] : [[], keys];

    test.for(refused)('the key %j is rejected, and is never resolved', async (key) => {
      const object = { originId: 'test', bucket: fixture.bucket, key, etag: 'any', sizeBytes: 1 };
      await expect(fixture.origin.head(fixture.bucket, key, { signal })).rejects.toMatchObject({ code: 'bad_request' });
      await expect(fixture.origin.read(object, { from: 0, to: 1 }, collectSink(), { signal })).rejects.toMatchObject({
        code: 'bad_request',
      });
    });

    test.for(kept)('the key %j reaches the origin as it is', async (key) => {
      const own = patternBytes(1000 + key.length, key.length);
      await fixture.put(key, own);
      expect((await readAll(await versionOf(key))).equals(own)).toBe(true);
    });
  });
}
