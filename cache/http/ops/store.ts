/** `GET /store`: what is in the cachestore, and its part in `/status`. */
import type { Context } from 'hono';
import { formatAccount, type StoreAccount } from '#cache/core/capacity/store-account.ts';
import { asOrcaError } from '#cache/core/errors.ts';
import type { Engine } from '#cache/engine/engine.ts';

/** Pins are read from the cachestore: two objects for each pin and shard at the most. */
const PINS_TIMEOUT_MS = 10_000;

export interface StoreOptions {
  readonly engine: Pick<Engine, 'capacity'>;
}

export function storeHandler({ engine: { capacity } }: StoreOptions): (c: Context) => Promise<Response> {
  return async (c) => {
    const account = capacity.account();
    const signal = AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(PINS_TIMEOUT_MS)]);
    const pins = await capacity.pins.list(signal).then(
      (list) => ({ pins: list }),
      // The figures are in memory, so they are shown all the same.
      (error: unknown) => ({ pinsError: asOrcaError(error, 'store_unavailable', 'the pins cannot be read').message }),
    );
    const { sweepIntervalMs, highWatermark, lowWatermark } = capacity.settings();
    return c.json({
      ...formatAccount(account),
      byBucket: Object.fromEntries(account.byBucket),
      sweepIntervalMs,
      highWatermark,
      lowWatermark,
      ...pins,
    });
  };
}

/** The figures of the operator: without lists, which may be long. */
export function storeFigures(account: StoreAccount): Readonly<Record<string, unknown>> {
  const { byBucket: _byBucket, byAge: _byAge, ...figures } = formatAccount(account);
  return figures;
}
