/**
 * Writing an object so that exactly one writer wins: `PUT If-None-Match: *` with a checksum, and what to do with each of
 * its answers; or, as long as nobody has proven that the store keeps the condition, a look and a plain PUT. Every upload
 * carries its checksum: some stores publish the cut body of one that carries none.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { OrcaError } from '#cache/core/errors.ts';
import type { PutOutcome } from '#cache/core/store-verdict.ts';
import type { CallOptions } from '#cache/engine/ports.ts';
import type { ObjectWire, Upload } from './object-wire.ts';
import { WireError } from '#cache/wire/http1/errors.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import { cancelledBy } from '#cache/wire/http1/sink.ts';

export interface ExclusivePut {
  /** A plain checksummed PUT, whatever is there. */
  replace(upload: Upload, call: CallOptions): Promise<'won'>;
  /**
   * Creates the object unless there is one. `look` tells what stands there after an answer that leaves it open; `other`
   * says what happens to something else than ours.
   */
  create(
    upload: Upload,
    look: () => Promise<'same' | 'other' | 'absent'>,
    other: 'replace' | 'lose',
    call: CallOptions,
  ): Promise<'won' | 'lost'>;
  /** One conditional PUT, and what the store says to it: to find out what that is worth. */
  offer(upload: Upload, call: CallOptions): Promise<PutOutcome>;
  /** Whether the condition decides: false until somebody knows. */
  trust(isTrusted: boolean): void;
}

/** Another conditional write may be under way: after a few of its lengths the store is not well. */
const CREATE_ATTEMPTS = 5;
const CONFLICT_DELAY_MIN_MS = 50;
const CONFLICT_DELAY_SPREAD_MS = 200;

export function openExclusivePut(wire: ObjectWire): ExclusivePut {
  let isTrusted = false;

  const send = async (upload: Upload, ifAbsent: boolean, call: CallOptions): Promise<RawResponse> => {
    const headers = await wire.uploadHeaders(upload, call);
    if (ifAbsent) headers['if-none-match'] = '*';
    return wire.send({ method: 'PUT', key: upload.key, headers, body: upload.pieces }, call);
  };
  const replace = async (upload: Upload, call: CallOptions): Promise<'won'> => {
    const response = await send(upload, false, call);
    if (response.status >= 300) throw written(wire.refusal(response, upload.key));
    return 'won';
  };

  /** With what the store said where it is no plain yes: for the error, if nothing else comes of it. */
  const offer = async (
    upload: Upload,
    call: CallOptions,
  ): Promise<{ readonly offer: PutOutcome; readonly why?: unknown }> => {
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await send(upload, true, call);
        if (response.status < 300) return { offer: 'won' };
        const why = written(wire.refusal(response, upload.key));
        const condition = wire.conditionOf(response);
        if (condition === undefined) throw why;
        if (condition !== 'again') return { offer: condition, why };
        if (attempt >= CREATE_ATTEMPTS) return { offer: 'conflict', why };
      } catch (error) {
        // A store that answers early and closes shows as a reset: the outcome is open.
        if (error instanceof WireError && error.failure === 'closed') return { offer: 'unknown', why: error };
        throw error;
      }
      await pause(call.signal);
    }
  };

  return {
    replace,
    offer: async (upload, call) => (await offer(upload, call)).offer,
    trust(trusted) {
      isTrusted = trusted;
    },
    async create(upload, look, other, call) {
      /** What follows from what stands there; undefined = nothing does. */
      const settle = async (found: 'same' | 'other' | 'absent'): Promise<'won' | 'lost' | undefined> => {
        if (found === 'absent') return undefined;
        return found === 'same' || other === 'lose' ? 'lost' : replace(upload, call);
      };
      if (!isTrusted) {
        const settled = await settle(await look());
        if (settled !== undefined) return settled;
        // Identical bytes make the race harmless. A name that only one may have is offered all the same: where the
        // condition is kept it decides, and where it is not it costs nothing.
        if (other === 'replace') return replace(upload, call);
      }
      for (let attempt = 1; ; attempt++) {
        const { offer: answer, why } = await offer(upload, call);
        if (answer === 'won') return 'won';
        if (answer === 'conflict' && isTrusted) throw why;
        const found = await look();
        // Our own answer was lost on its way.
        if (answer === 'unknown' && other === 'lose' && found === 'same') return 'won';
        const settled = await settle(found);
        if (settled !== undefined) return settled;
        if (answer === 'unsupported' || answer === 'conflict') {
          // Known from now on: look first, and write plainly.
          isTrusted = false;
          return replace(upload, call);
        }
        // Refused because it was there, and gone now; or cut before it was there: once more.
        if (attempt >= CREATE_ATTEMPTS || answer === 'unknown') throw why;
      }
    },
  };
}

/** A write never finds its object missing: 404 is the bucket. */
function written(error: OrcaError): OrcaError {
  if (error.code !== 'chunk_missing') return error;
  return new OrcaError('store_unavailable', error.message, { cause: error, status: 404 });
}

async function pause(signal: AbortSignal): Promise<void> {
  const ms = CONFLICT_DELAY_MIN_MS + Math.random() * CONFLICT_DELAY_SPREAD_MS;
  await delay(ms, undefined, { signal }).catch(() => {
    throw cancelledBy(signal);
  });
}
