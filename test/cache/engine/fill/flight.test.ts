import { expect, test } from 'vitest';
import { chunkAt } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { FILL_PART_BYTES, Flight } from '#cache/engine/fill/flight.ts';
import { MIB } from '#test/support/engines.ts';

const NEVER = new AbortController().signal;

/** A flight of four parts; the last one is short. */
function open() {
  const sizeBytes = 3 * FILL_PART_BYTES + MIB;
  const object = { originId: 'test', bucket: 'b', key: 'k', etag: 'e', sizeBytes };
  const flight = new Flight(chunkAt(object, 32 * MIB, 0));
  const ranks: boolean[] = [];
  flight.onRank(() => ranks.push(flight.isBackground));
  const next = (mayWait?: (part: Flight['parts'][number]) => boolean) => {
    const part = flight.nextPart(mayWait);
    if (part !== undefined) part.started = true;
    return part === undefined ? undefined : part.from / FILL_PART_BYTES;
  };
  return { flight, next, ranks };
}

test('parts are fetched in order, those that a reader needs first', () => {
  const { flight, next } = open();
  flight.join({ from: 2 * FILL_PART_BYTES + 5, to: 2 * FILL_PART_BYTES + 6 }, NEVER);
  expect([next(), next(), next(), next(), next()]).toEqual([2, 0, 1, 3, undefined]);
});

test('a part that may wait is fetched last, unless a reader needs it', () => {
  const { flight, next } = open();
  const mayWait = ({ from }: { readonly from: number }) => from <= FILL_PART_BYTES;
  flight.join({ from: FILL_PART_BYTES, to: FILL_PART_BYTES + 1 }, NEVER);
  expect([next(mayWait), next(mayWait), next(mayWait), next(mayWait)]).toEqual([1, 2, 3, 0]);
});

test('reports how many bytes have arrived, and how far without a gap', () => {
  const { flight } = open();
  const [first, second] = flight.parts;
  second!.at = second!.to;
  expect([flight.arrivedBytes, flight.contiguousTo]).toEqual([FILL_PART_BYTES, 0]);
  first!.at = first!.to;
  expect([flight.arrivedBytes, flight.contiguousTo]).toEqual([2 * FILL_PART_BYTES, 2 * FILL_PART_BYTES]);
  expect(flight.availableTo(FILL_PART_BYTES + 1)).toBe(2 * FILL_PART_BYTES);
  expect(flight.availableTo(3 * FILL_PART_BYTES)).toBe(3 * FILL_PART_BYTES);
});

test('is in the background while it has no reader, unless it is kept', () => {
  const { flight, ranks } = open();
  const [first, second] = [flight.join({ from: 0, to: 1 }, NEVER), flight.join({ from: 0, to: 1 }, NEVER)];
  first.close();
  second.close();
  second.close();
  flight.join({ from: 0, to: 1 }, NEVER).close();
  flight.keep();
  flight.join({ from: 0, to: 1 }, NEVER).close();
  expect(ranks).toEqual([false, true, false, true, false]);
});

test('has been paid for once bytes of it were requested, or blocks were reused', () => {
  const [requested, reused] = [open().flight, open().flight];
  expect(requested.isPaidFor).toBe(false);
  requested.requested();
  reused.parts[1]!.at++;
  expect([requested.isPaidFor, reused.isPaidFor]).toEqual([true, true]);
});

test('`opened` reports the first byte, a stored chunk, or the failure before either', async () => {
  const [filling, stored, failed] = [open().flight, open().flight, open().flight];
  const readers = [filling, stored, failed].map((flight) => flight.join({ from: 0, to: 1 }, NEVER).opened());
  filling.arrived(filling.parts[0]!);
  filling.fail(new OrcaError('origin_unavailable', 'after the first byte'));
  stored.settleStored();
  failed.fail(new OrcaError('origin_unavailable', 'injected'));
  expect([await readers[0], await readers[1]]).toEqual(['bytes', 'stored']);
  await expect(readers[2]).rejects.toMatchObject({ message: 'injected' });
});
