/** `GET /pins`: what is pinned in the cachestore. */
import type { Context } from 'hono';
import { asOrcaError } from '#cache/core/errors.ts';
import type { Engine } from '#cache/engine/engine.ts';
import { rowFor } from '#cache/http/respond.ts';
import { openSemaphore } from '#shared/semaphore.ts';

/** Two objects of the cachestore for each pin and shard at the most: with 100 pins this takes a while. */
const TIMEOUT_MS = 30_000;
/** People ask, one at a time; the connections of the listener bound the queue. */
const AT_ONCE = 1;

export interface PinsOptions {
  readonly engine: Pick<Engine, 'capacity'>;
  /** The prewarm that a pin belongs to. */
  readonly pinOwner: (pin: string) => { readonly prewarm: string; readonly uid: string } | undefined;
}

/** A failure is a Kubernetes Status, of which clients that come through the API server's proxy show the message. */
export function pinsHandler({ engine, pinOwner }: PinsOptions): (c: Context) => Promise<Response> {
  const withPermit = openSemaphore(AT_ONCE);
  return async (c) => {
    const signal = AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    try {
      const pins = await withPermit(signal, () => engine.capacity.pins.list(signal));
      return c.json({
        pins: pins.map(({ name, expiresMs, sizeBytes, versions }) => ({
          name,
          ...pinOwner(name),
          expiresMs,
          sizeBytes,
          versions,
        })),
      });
    } catch (thrown) {
      const error = asOrcaError(thrown, 'store_unavailable', 'the pins cannot be read in time');
      const { status } = rowFor(error);
      const body = { apiVersion: 'v1', kind: 'Status', status: 'Failure', reason: error.code, message: error.message };
      return Response.json({ ...body, code: status }, { status });
    }
  };
}
