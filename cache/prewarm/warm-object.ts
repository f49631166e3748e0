/** Warms one object: its head and manifest are known then, and all its chunks are in the cachestore. */
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode } from '#cache/core/errors.ts';
import type { Warm, WarmObject } from '#cache/engine/warm/warm.ts';
import type { ObjectProgress } from './progress.ts';
import type { RunContext } from './run-context.ts';

export interface WarmCall {
  readonly bucket: string;
  readonly key: string;
  /** Earlier objects get their chunks first. */
  readonly order: number;
  readonly progress: ObjectProgress;
  readonly requestId: string;
  /** Undefined for the first attempt, which waits for as long as no other object succeeds. */
  readonly isAnswering: (() => Promise<boolean>) | undefined;
  readonly signal: AbortSignal;
}

/** A version that changes twice within its own warming is left to another attempt. */
const MAX_VERSIONS = 2;

/** Resolves with the version that is stored; undefined = one without bytes. Rejects if it cannot be warmed now. */
export async function warmObject(
  warm: Warm,
  context: RunContext,
  call: WarmCall,
): Promise<{ readonly object: WarmObject; readonly sizeBytes: number }> {
  for (let version = 1; ; version++) {
    try {
      const object = await resolve(warm, context, call);
      call.progress.sized(object.object.sizeBytes);
      await warmChunks(warm, context, call, object);
      return { object, sizeBytes: object.object.sizeBytes };
    } catch (error) {
      call.progress.restart();
      if (!hasCode(error, 'object_changed') || version === MAX_VERSIONS) throw error;
    }
  }
}

async function resolve(warm: Warm, context: RunContext, call: WarmCall): Promise<WarmObject> {
  const { bucket, key, order, isAnswering, signal } = call;
  const giveBack = await context.resolving.take(order, signal);
  try {
    return await context.patiently(signal, () => warm.resolve({ bucket, key }, signal), isAnswering);
  } finally {
    giveBack();
  }
}

/** In order, as many at once as there are slots. The first failure ends it. */
async function warmChunks(warm: Warm, context: RunContext, call: WarmCall, object: WarmObject): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  const hasFailed = (): boolean => failures.length > 0;
  for (let index = 0; index < object.count && !hasFailed(); index++) {
    const giveBack = await context.slots.take(call.order, call.signal).catch((error: unknown) => {
      failures.push(error);
    });
    if (giveBack === undefined) break;
    if (hasFailed()) {
      giveBack();
      break;
    }
    const task: Promise<void> = warmChunk(warm, context, call, object.chunkAt(index))
      .catch((error: unknown) => void failures.push(error))
      .finally(() => {
        giveBack();
        running.delete(task);
      });
    running.add(task);
  }
  await Promise.all(running);
  if (hasFailed()) throw failures[0];
}

async function warmChunk(warm: Warm, context: RunContext, call: WarmCall, chunk: Chunk): Promise<void> {
  const { progress, requestId, isAnswering, signal } = call;
  const { lengthBytes } = chunk;
  const look = await context.patiently(signal, () => lookFor(warm, chunk, signal), isAnswering);
  let originBytes = 0;
  if (look !== 'stored') {
    await context.pace.take(lengthBytes, signal);
    const options = { knownAbsent: look === 'absent', requestId, signal };
    ({ originBytes } = await context.patiently(signal, () => warm.chunk(chunk, options), isAnswering));
    context.pace.giveBack(lengthBytes - originBytes);
    context.read(originBytes);
  }
  progress.stored(lengthBytes, originBytes);
  context.speed.add(lengthBytes);
}

async function lookFor(warm: Warm, chunk: Chunk, signal: AbortSignal): Promise<'stored' | 'absent' | 'corrupt'> {
  try {
    return (await warm.isStored(chunk, signal)) ? 'stored' : 'absent';
  } catch (error) {
    // The coordinator replaces it.
    if (hasCode(error, 'chunk_bad')) return 'corrupt';
    throw error;
  }
}
