/** Helpers around `ByteSink` that every byte source needs: waiting for room, and the error of an aborted call. */
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteSink } from '#cache/engine/ports.ts';

/** The error of a call whose signal has aborted: the signal's own OrcaError, or `cancelled` if it has none. */
export function cancelledBy(signal: AbortSignal): OrcaError {
  const reason: unknown = signal.reason;
  return reason instanceof OrcaError ? reason : new OrcaError('cancelled', 'the call was cancelled', { cause: reason });
}

/** Waits for free memory in the sink; rejects when the signal aborts. */
export async function roomIn(sink: ByteSink, signal: AbortSignal): Promise<Uint8Array> {
  while (true) {
    if (signal.aborted) throw cancelledBy(signal);
    const space = sink.space();
    if (space !== undefined) return space;
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => reject(cancelledBy(signal));
      signal.addEventListener('abort', onAbort, { once: true });
      sink.onSpace(() => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
    });
  }
}

/** Copies `bytes` into the sink, waiting for room as often as necessary. */
export async function copyInto(sink: ByteSink, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const space = await roomIn(sink, signal);
    const lengthBytes = Math.min(space.length, bytes.length - done);
    space.set(bytes.subarray(done, done + lengthBytes));
    sink.filled(lengthBytes);
    done += lengthBytes;
  }
}
