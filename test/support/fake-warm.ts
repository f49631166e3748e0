/** Objects that a prewarm can warm, without an engine: which chunks are stored, and what fails. */
import { chunkAt, sliceCount, type Chunk } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { compareKeys, PageBuilder, type ListPage, type ListQuery } from '#cache/core/s3/listing.ts';
import type { Warm, WarmObject } from '#cache/engine/warm/warm.ts';

export const CHUNK_BYTES = 100;

export interface FakeWarm extends Warm {
  put(key: string, sizeBytes: number, etag?: string): void;
  list(bucket: string, query: ListQuery, signal: AbortSignal): Promise<ListPage>;
  /** Called before each call; what it throws is the call's error, and what it waits for delays it. */
  before: (call: 'list' | 'resolve' | 'isStored' | 'chunk', key: string, signal: AbortSignal) => Promise<void>;
  readonly stored: Set<string>;
  /** Bytes that were read from the origin. */
  originBytes: number;
  readonly running: { chunks: number; maxChunks: number; resolves: number; maxResolves: number };
  readonly calls: { list: number; resolve: number; isStored: number; chunk: number };
}

export function fakeWarm(): FakeWarm {
  const objects = new Map<string, { readonly sizeBytes: number; readonly etag: string }>();
  const stored = new Set<string>();
  const running = { chunks: 0, maxChunks: 0, resolves: 0, maxResolves: 0 };
  const calls = { list: 0, resolve: 0, isStored: 0, chunk: 0 };
  const idOf = ({ object, index }: Chunk): string => `${object.key} ${object.etag} ${index}`;
  const self: FakeWarm = {
    stored,
    running,
    calls,
    originBytes: 0,
    before: async () => {},
    put: (key, sizeBytes, etag = 'v1') => void objects.set(key, { sizeBytes, etag }),
    async list(_bucket, query, signal) {
      calls.list += 1;
      await self.before('list', query.prefix, signal);
      const page = new PageBuilder(query);
      for (const [key, { sizeBytes, etag }] of [...objects].toSorted(([a], [b]) => compareKeys(a, b)))
        if (!page.add({ key, etag, sizeBytes, lastModifiedMs: 0, storageClass: 'STANDARD' })) break;
      return page.page();
    },
    async resolve({ bucket, key }, signal) {
      calls.resolve += 1;
      running.resolves += 1;
      running.maxResolves = Math.max(running.maxResolves, running.resolves);
      try {
        await self.before('resolve', key, signal);
        const found = objects.get(key);
        if (found === undefined) throw new OrcaError('not_found', `no object ${key}`);
        return objectOf(bucket, key, found.sizeBytes, found.etag);
      } finally {
        running.resolves -= 1;
      }
    },
    async isStored(chunk, signal) {
      calls.isStored += 1;
      await self.before('isStored', chunk.object.key, signal);
      return stored.has(idOf(chunk));
    },
    async chunk(chunk, { signal }) {
      calls.chunk += 1;
      running.chunks += 1;
      running.maxChunks = Math.max(running.maxChunks, running.chunks);
      try {
        await self.before('chunk', chunk.object.key, signal);
        if (objects.get(chunk.object.key)?.etag !== chunk.object.etag)
          throw new OrcaError('object_changed', `${chunk.object.key} has changed`);
        stored.add(idOf(chunk));
        self.originBytes += chunk.lengthBytes;
        return { originBytes: chunk.lengthBytes };
      } finally {
        running.chunks -= 1;
      }
    },
  };
  return self;
}

function objectOf(bucket: string, key: string, sizeBytes: number, etag: string): WarmObject {
  const object = { originId: 'test', bucket, key, etag, sizeBytes };
  return {
    object,
    chunkSizeBytes: CHUNK_BYTES,
    count: sliceCount({ from: 0, to: sizeBytes }, CHUNK_BYTES),
    chunkAt: (index) => chunkAt(object, CHUNK_BYTES, index),
  };
}
