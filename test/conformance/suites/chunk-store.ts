/** The conformance suite of the ChunkStore port, for the fake and every driver. */
import { crc32 } from 'node:zlib';
import { assert, asyncProperty, integer, nat } from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeMetadata, type ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { chunkAt, chunkIdentity, type Chunk, type ChunkPath } from '#cache/core/chunk.ts';
import type { ChunkStore } from '#cache/engine/ports.ts';
import { chunkFor, metadataFor, patternBytes, piecesOf } from '#test/support/chunks.ts';
import { collectSink, type CollectSinkOptions } from '#test/support/collect-sink.ts';
import { storedNamesSuite } from './stored-names.ts';

export interface ChunkStoreFixture extends AsyncDisposable {
  readonly store: ChunkStore;
  /** Writes a chunk without the store; `fields` are its stored metadata, none = as the original Orca writes it. */
  plant(path: ChunkPath, body: Uint8Array, fields?: Record<string, string>): Promise<void>;
  /** Deletes a chunk without the store. */
  vanish(path: ChunkPath): Promise<void>;
}

const WRITERS = 32;
const MIB = 1024 * 1024;

export function chunkStoreSuite(name: string, open: () => Promise<ChunkStoreFixture>): void {
  describe(`the chunk store ${name}`, () => {
    let fixture: ChunkStoreFixture;
    let store: ChunkStore;
    const { signal } = new AbortController();
    const body = patternBytes(500_000, 5);
    /** Each test has its own chunk. */
    let names = 0;
    const fresh = (
      bytes: Uint8Array = body,
      etag?: string,
    ): { chunk: Chunk; metadata: ChunkMetadata; pieces: Uint8Array[] } => {
      const chunk = chunkFor(bytes, `object-${names++}`, etag);
      return { chunk, metadata: metadataFor(chunk, bytes), pieces: piecesOf(bytes, 200_001) };
    };
    const read = async (
      chunk: Chunk,
      range = { from: 0, to: chunk.lengthBytes },
      options: CollectSinkOptions = {},
    ): Promise<{ bytes: Buffer; info: (ChunkMetadata | undefined)[] }> => {
      const info: (ChunkMetadata | undefined)[] = [];
      const sink = collectSink(options);
      const onInfo = (metadata: ChunkMetadata | undefined): void => {
        expect(sink.lengthBytes).toBe(0);
        info.push(metadata);
      };
      await store.read(chunk, range, sink, onInfo, { signal });
      return { bytes: sink.bytes(), info };
    };

    beforeAll(async () => {
      fixture = await open();
      ({ store } = fixture);
    });
    afterAll(async () => {
      await fixture[Symbol.asyncDispose]();
    });

    test('a chunk that was not committed is missing', async () => {
      const { chunk } = fresh();
      expect(await store.has(chunk, { signal })).toBe(false);
      await expect(read(chunk)).rejects.toMatchObject({ code: 'chunk_missing' });
    });

    test('a committed chunk has its bytes and metadata', async () => {
      const { chunk, metadata, pieces } = fresh();
      expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
      expect(await store.has(chunk, { signal })).toBe(true);
      const { bytes, info } = await read(chunk);
      expect(bytes.equals(body)).toBe(true);
      expect(info).toEqual([metadata]);
    });

    test('the metadata keep an ETag that is not a valid header value', async () => {
      const { chunk, metadata, pieces } = fresh(body, 'é"\u0001-ü');
      await store.commit(chunk, metadata, pieces, { signal });
      expect((await read(chunk)).info).toEqual([metadata]);
    });

    test('a read returns exactly the bytes of any range', async () => {
      const { chunk, metadata, pieces } = fresh();
      await store.commit(chunk, metadata, pieces, { signal });
      const offset = nat(body.length - 1);
      await assert(
        // Smaller windows make long ranges slow; one of the examples has them.
        asyncProperty(offset, offset, integer({ min: 1000, max: 100_000 }), async (a, b, windowBytes) => {
          const range = { from: Math.min(a, b), to: Math.max(a, b) + 1 };
          const { bytes } = await read(chunk, range, { windowBytes });
          expect(bytes.equals(body.subarray(range.from, range.to))).toBe(true);
        }),
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
      const big = patternBytes(8 * MIB, 9);
      const { chunk, metadata } = fresh(big);
      await store.commit(chunk, metadata, piecesOf(big, MIB), { signal });
      const { bytes } = await read(chunk, { from: 1, to: big.length }, { windowBytes: MIB, pauseAfterWindow: true });
      expect(bytes.equals(big.subarray(1))).toBe(true);
    });

    test('a second commit of the same chunk loses', async () => {
      const { chunk, metadata, pieces } = fresh();
      expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
      expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('lost');
      expect((await read(chunk)).bytes.equals(body)).toBe(true);
    });

    test.for([1024, MIB])('exactly one of 32 writers of a chunk of %i bytes wins', async (lengthBytes) => {
      const bytes = patternBytes(lengthBytes, 11);
      const { chunk, metadata } = fresh(bytes);
      const pieces = piecesOf(bytes, 200_001);
      const outcomes = await Promise.all(
        Array.from({ length: WRITERS }, () => store.commit(chunk, metadata, pieces, { signal })),
      );
      expect(outcomes.filter((outcome) => outcome === 'won')).toHaveLength(1);
      expect((await read(chunk)).bytes.equals(bytes)).toBe(true);
    });

    test("other bytes under the chunk's path are replaced", async () => {
      const { chunk, metadata, pieces } = fresh();
      const other = patternBytes(body.length, 6);
      await fixture.plant(chunk.path, other, encodeMetadata(metadataFor(chunk, other)));
      expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
      expect((await read(chunk)).bytes.equals(body)).toBe(true);
    });

    test("a shorter object under the chunk's path is replaced", async () => {
      const { chunk, metadata, pieces } = fresh();
      await fixture.plant(chunk.path, body.subarray(0, 1000));
      expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
      expect((await read(chunk)).bytes.equals(body)).toBe(true);
    });

    test('a repair overwrites corrupt bytes with intact metadata', async () => {
      const { chunk, metadata, pieces } = fresh();
      const damaged = Buffer.from(body);
      damaged[1000] = (damaged[1000] ?? 0) ^ 1;
      await fixture.plant(chunk.path, damaged, encodeMetadata(metadata));
      expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('lost');
      expect(await store.commit(chunk, metadata, pieces, { signal, overwrite: true })).toBe('won');
      expect((await read(chunk)).bytes.equals(body)).toBe(true);
    });

    test('a chunk of the original Orca, without metadata, is accepted if its length is right', async () => {
      const { chunk } = fresh();
      await fixture.plant(chunk.path, body);
      expect(await store.has(chunk, { signal })).toBe(true);
      const { bytes, info } = await read(chunk, { from: 10, to: 20 });
      expect(bytes.equals(body.subarray(10, 20))).toBe(true);
      expect(info).toEqual([undefined]);
    });

    test.for([
      ['one byte too short', -1],
      ['one byte too long', 1],
      ['empty', -500_000],
    ] as const)('a chunk that is %s is bad', async ([, difference]) => {
      const { chunk } = fresh();
      await fixture.plant(chunk.path, patternBytes(body.length + difference));
      await expect(read(chunk, { from: 0, to: 10 })).rejects.toMatchObject({ code: 'chunk_bad' });
      await expect(store.has(chunk, { signal })).rejects.toMatchObject({ code: 'chunk_bad' });
    });

    test('a chunk whose metadata contain another ETag is bad', async () => {
      const { chunk, metadata } = fresh();
      await fixture.plant(chunk.path, body, encodeMetadata({ ...metadata, etag: 'another' }));
      await expect(read(chunk)).rejects.toMatchObject({ code: 'chunk_bad' });
      await expect(store.has(chunk, { signal })).rejects.toMatchObject({ code: 'chunk_bad' });
    });

    test('another chunk of the same object under the path of a chunk is bad, and replaced', async () => {
      const object = { originId: 'test', bucket: 'bucket', key: `object-${names++}`, etag: 'e', sizeBytes: 2 * MIB };
      const [first, second] = [chunkAt(object, MIB, 0), chunkAt(object, MIB, 1)];
      const [bytes, others] = [patternBytes(MIB, 12), patternBytes(MIB, 13)];
      await fixture.plant(second.path, bytes, encodeMetadata(metadataFor(first, bytes)));
      await expect(read(second)).rejects.toMatchObject({ code: 'chunk_bad' });
      await expect(store.has(second, { signal })).rejects.toMatchObject({ code: 'chunk_bad' });
      expect(await store.commit(second, metadataFor(second, others), [others], { signal })).toBe('won');
      expect((await read(second)).bytes.equals(others)).toBe(true);
    });

    test('a chunk of a release that stored no identity is accepted, and a commit of the same chunk loses', async () => {
      const { chunk, metadata, pieces } = fresh();
      const { 'orca-chunk': identity, ...older } = encodeMetadata(metadata);
      expect(identity).toBe(chunkIdentity(chunk));
      await fixture.plant(chunk.path, body, older);
      const { bytes, info } = await read(chunk);
      expect(bytes.equals(body)).toBe(true);
      expect(info).toMatchObject([{ crc32: metadata.crc32 }]);
      expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('lost');
    });

    test.for([
      ['128 KiB', 128 * 1024],
      ['64 MiB', 64 * MIB],
    ] as const)('a chunk whose blocks are of %s instead of its block size is bad, and replaced', async ([, block]) => {
      const { chunk, metadata, pieces } = fresh();
      const crcs = piecesOf(body, block).map((piece) => crc32(piece));
      const wrong = { ...metadata, blockSizeBytes: block, blockCrcs: Uint32Array.from(crcs) };
      await fixture.plant(chunk.path, body, encodeMetadata(wrong));
      await expect(read(chunk)).rejects.toMatchObject({ code: 'chunk_bad' });
      await expect(store.has(chunk, { signal })).rejects.toMatchObject({ code: 'chunk_bad' });
      expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
      expect((await read(chunk)).bytes.equals(body)).toBe(true);
    });

    test('a chunk with inconsistent metadata is bad', async () => {
      const { chunk, metadata } = fresh();
      await fixture.plant(chunk.path, body, { ...encodeMetadata(metadata), 'orca-length': '17' });
      await expect(read(chunk)).rejects.toMatchObject({ code: 'chunk_bad' });
    });

    test('a bad chunk puts nothing into the sink', async () => {
      const { chunk, metadata } = fresh();
      await fixture.plant(chunk.path, body, encodeMetadata({ ...metadata, etag: 'another' }));
      const sink = collectSink();
      await expect(store.read(chunk, { from: 0, to: 100 }, sink, () => undefined, { signal })).rejects.toMatchObject({
        code: 'chunk_bad',
      });
      expect(sink.lengthBytes).toBe(0);
    });

    test('a deleted chunk is missing, and can be committed again', async () => {
      const { chunk, metadata, pieces } = fresh();
      await store.commit(chunk, metadata, pieces, { signal });
      await fixture.vanish(chunk.path);
      expect(await store.has(chunk, { signal })).toBe(false);
      await expect(read(chunk)).rejects.toMatchObject({ code: 'chunk_missing' });
      expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
    });

    test('a read aborted in the middle ends as cancelled, its bytes are valid, and the next read works', async () => {
      const { chunk, metadata, pieces } = fresh();
      await store.commit(chunk, metadata, pieces, { signal });
      const aborter = new AbortController();
      const sink = collectSink({ windowBytes: 10_000, pauseAtBytes: 10_000 });
      const reading = store.read(chunk, { from: 3, to: body.length }, sink, () => undefined, {
        signal: aborter.signal,
      });
      await sink.has(10_000);
      aborter.abort();
      await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
      expect(sink.bytes().equals(body.subarray(3, 3 + sink.lengthBytes))).toBe(true);
      expect((await read(chunk)).bytes.equals(body)).toBe(true);
    });

    test('an aborted commit makes nothing visible', async () => {
      const { chunk, metadata, pieces } = fresh();
      const aborter = new AbortController();
      const committing = store.commit(chunk, metadata, pieces, { signal: aborter.signal });
      aborter.abort();
      await expect(committing).rejects.toMatchObject({ code: 'cancelled' });
      expect(await store.has(chunk, { signal })).toBe(false);
    });

    test('a commit whose pieces do not have the length of the chunk never reaches the store', async () => {
      const { chunk, metadata, pieces } = fresh();
      await expect(store.commit(chunk, metadata, pieces.slice(1), { signal })).rejects.toMatchObject({
        code: 'internal',
      });
      expect(await store.has(chunk, { signal })).toBe(false);
    });

    test('small objects are written, read, replaced and deleted', async () => {
      const name = '_orca/identity/small';
      expect(await store.getSmall(name, { signal })).toBeUndefined();
      expect(await store.putSmall(name, Buffer.from('one'), { signal })).toBe('won');
      expect(await store.putSmall(name, Buffer.from('two'), { signal })).toBe('won');
      expect(Buffer.from((await store.getSmall(name, { signal })) ?? []).toString()).toBe('two');
      expect(await store.putSmall(name, Buffer.from('three'), { signal, ifAbsent: true })).toBe('lost');
      expect(Buffer.from((await store.getSmall(name, { signal })) ?? []).toString()).toBe('two');
      await store.deleteSmall(name, { signal });
      await store.deleteSmall(name, { signal });
      expect(await store.getSmall(name, { signal })).toBeUndefined();
      expect(await store.putSmall(name, Buffer.from('four'), { signal, ifAbsent: true })).toBe('won');
    });

    test.for([0, 100_000, 2 * MIB])('a small object of %i bytes is read completely', async (lengthBytes) => {
      const bytes = patternBytes(lengthBytes);
      await store.putSmall('_orca/probe/whole', bytes, { signal });
      expect(Buffer.from((await store.getSmall('_orca/probe/whole', { signal })) ?? [1]).equals(bytes)).toBe(true);
    });

    test('exactly one of 16 writers of a new small object wins, and the store has its bytes', async () => {
      const outcomes = await Promise.all(
        Array.from({ length: 16 }, (_, index) =>
          store.putSmall('_orca/identity/raced', Buffer.from(`writer ${index}`), { signal, ifAbsent: true }),
        ),
      );
      expect(outcomes.filter((outcome) => outcome === 'won')).toHaveLength(1);
      const stored = Buffer.from((await store.getSmall('_orca/identity/raced', { signal })) ?? []).toString();
      expect(stored).toBe(`writer ${outcomes.indexOf('won')}`);
    });

    storedNamesSuite(open);
  });
}
