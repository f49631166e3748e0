/** The read passes of the demo, one function each. Every pass reads real objects and compares every byte. */
import { readSlice } from './source-files.ts';
import { chunkBytesOf, CLIENT_BUCKET } from './names.ts';
import { inParallel, openClient, readObject, readRange, type StoredObject } from './objects.ts';
import { Failure } from './failure.ts';

/** Measured by the clients of one pass. */
export interface PassResult {
  readonly objects: number;
  readonly reads: number;
  /** Sum of the sizes of the objects, counting each object once. */
  readonly objectBytes: number;
  readonly readBytes: number;
  readonly retries: number;
  readonly durationMs: number;
}

export interface PassContext {
  readonly edge: string;
  readonly signal: AbortSignal;
}

/** As many as two cores can hash without the client becoming the bottleneck. */
export const READERS = 6;
export const BURST_CLIENTS = 30;
/** Range reads test the boundaries of chunks; other passes read whole objects. */
const MAX_RANGE_BYTES = 40 * 1024 * 1024;

/** Reads each object once. Calls `onRead` with the number of objects read so far. */
export async function readAll(
  { edge, signal }: PassContext,
  objects: readonly StoredObject[],
  onRead: (done: number) => void = () => {},
): Promise<PassResult> {
  const client = openClient(edge);
  const startedMs = performance.now();
  let readBytes = 0;
  let retries = 0;
  let done = 0;
  try {
    await inParallel(objects, READERS, async (object) => {
      const tally = await readObject(client, CLIENT_BUCKET, object, signal);
      readBytes += tally.bytes;
      retries += tally.retries;
      done += 1;
      onRead(done);
    });
  } finally {
    client.destroy();
  }
  return {
    objects: objects.length,
    reads: objects.length,
    objectBytes: objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    readBytes,
    retries,
    durationMs: performance.now() - startedMs,
  };
}

/** Reads one object with many separate clients at the same time. */
export async function readConcurrently({ edge, signal }: PassContext, object: StoredObject): Promise<PassResult> {
  const clients = Array.from({ length: BURST_CLIENTS }, () => openClient(edge));
  const startedMs = performance.now();
  let readBytes = 0;
  let retries = 0;
  try {
    await inParallel(clients, BURST_CLIENTS, async (client) => {
      const tally = await readObject(client, CLIENT_BUCKET, object, signal);
      readBytes += tally.bytes;
      retries += tally.retries;
    });
  } finally {
    for (const client of clients) client.destroy();
  }
  return {
    objects: 1,
    reads: BURST_CLIENTS,
    objectBytes: object.sizeBytes,
    readBytes,
    retries,
    durationMs: performance.now() - startedMs,
  };
}

interface RangeCase {
  readonly object: StoredObject;
  readonly header: string;
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

export async function readRanges({ edge, signal }: PassContext, objects: readonly StoredObject[]): Promise<PassResult> {
  const cases = objects.flatMap(rangesOf);
  const client = openClient(edge);
  const startedMs = performance.now();
  let readBytes = 0;
  try {
    await inParallel(cases, READERS, async ({ object, header, from, to }) => {
      const { bytes, contentRange } = await readRange(client, CLIENT_BUCKET, object.key, header, signal);
      const where = `${object.key}, Range: ${header}`;
      const expected = `bytes ${from}-${to - 1}/${object.sizeBytes}`;
      if (contentRange !== expected) throw new Failure(`${where}: Content-Range ${contentRange}, not ${expected}`);
      const source = await readSlice(object.file, object.offset + from, to - from);
      if (!source.equals(bytes)) throw new Failure(`${where}: the bytes differ from the source`);
      readBytes += bytes.length;
    });
  } finally {
    client.destroy();
  }
  return {
    objects: objects.length,
    reads: cases.length,
    objectBytes: objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    readBytes,
    retries: 0,
    durationMs: performance.now() - startedMs,
  };
}

/** Ranges at every boundary where chunk arithmetic may be off by one, without those that exceed the object. */
function rangesOf(object: StoredObject): RangeCase[] {
  const { sizeBytes } = object;
  if (sizeBytes === 0) return [];
  const chunk = chunkBytesOf(sizeBytes);
  const last = Math.floor((sizeBytes - 1) / chunk) * chunk;
  const pairs = [
    [0, 1],
    [0, sizeBytes],
    [sizeBytes - 1, sizeBytes],
    [0, chunk],
    [chunk, 2 * chunk],
    [chunk - 1, chunk],
    [chunk, chunk + 1],
    [chunk - 1, chunk + 1],
    [chunk - 100_000, chunk + 100_000],
    [1, 2 * chunk + 1],
    [last - 1, sizeBytes],
    [last, sizeBytes],
  ] as const;
  const plain = pairs
    .filter(([from, to]) => from >= 0 && to <= sizeBytes && from < to && to - from <= MAX_RANGE_BYTES)
    .map(([from, to]) => ({ object, header: `bytes=${from}-${to - 1}`, from, to }));
  const tail = Math.min(sizeBytes, chunk + 1);
  return [
    ...plain,
    { object, header: `bytes=-${tail}`, from: sizeBytes - tail, to: sizeBytes },
    { object, header: `bytes=${sizeBytes - tail}-`, from: sizeBytes - tail, to: sizeBytes },
    // Past the end: the response is cut at the end of the object.
    { object, header: `bytes=${sizeBytes - 1}-${sizeBytes + 999}`, from: sizeBytes - 1, to: sizeBytes },
    ...(sizeBytes <= MAX_RANGE_BYTES ? [{ object, header: `bytes=-${sizeBytes + 1}`, from: 0, to: sizeBytes }] : []),
  ];
}
