import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { partsCount } from '#cache/engine/metadata/multipart-parts.ts';
import type { Origin } from '#cache/engine/ports.ts';
import { MIB, openEngines, patternBytes, readAll, readRequest, type Engines } from '#test/support/engines.ts';

const BODY = patternBytes(3 * MIB + 30);
const PART_BYTES = MIB + 10;

/** Its origin records each part lookup in `lookups`; the first lookups fail with `failures`. */
function open(failures: OrcaError[] = []): Engines & { readonly lookups: number[] } {
  const lookups: number[] = [];
  const originSeen = (origin: Origin): Origin => ({
    ...origin,
    part(object, part, options) {
      lookups.push(part);
      const failure = failures.shift();
      return failure === undefined ? origin.part(object, part, options) : Promise.reject(failure);
    },
  });
  return { ...openEngines({ originSeen }), lookups };
}

const part = (engines: Engines, number: number, more = {}) =>
  readAll(engines.replicas[0]!.engine, readRequest('a', { part: number, ...more }));

describe('a multipart object', () => {
  test('has the checksum of the part that was requested, not of the object', async () => {
    const engines = openEngines({
      originSeen: (origin) => ({
        ...origin,
        async part(object, part, options) {
          const known = await origin.part(object, part, options);
          return { ...known, checksums: { 'x-amz-checksum-crc32': `part${part}` } };
        },
      }),
    });
    const headers = { 'x-amz-checksum-crc32': 'whole=-3', 'x-amz-checksum-type': 'COMPOSITE' };
    engines.origin.put('far-models', 'a', BODY, { etag: 'e-3', headers });
    const { result } = await part(engines, 2);
    expect(result.partChecksums).toEqual({ 'x-amz-checksum-crc32': 'part2' });
  });

  test('is read by part number, with one lookup per part', async () => {
    const engines = open();
    engines.origin.put('far-models', 'a', BODY, { etag: 'e-3' });
    for (const number of [1, 2, 3, 2, 1]) {
      const { result, bytes } = await part(engines, number);
      expect(result).toMatchObject({ status: 206, partsCount: 3 });
      expect(bytes.equals(BODY.subarray((number - 1) * PART_BYTES, number * PART_BYTES))).toBe(true);
    }
    const { result } = await part(engines, 3, { headOnly: true });
    expect(result.range).toEqual({ from: 2 * PART_BYTES, to: BODY.length });
    expect(engines.lookups).toEqual([1, 2, 3]);
  });

  test('has no part after its last one, and that needs no lookup', async () => {
    const engines = open();
    engines.origin.put('far-models', 'a', BODY, { etag: 'e-3' });
    await expect(part(engines, 4)).rejects.toMatchObject({
      code: 'part_not_found',
      fields: { PartNumberRequested: '4', ActualPartCount: '3' },
    });
    expect(engines.lookups).toEqual([]);
  });

  test('that was replaced meanwhile is read in its new version', async () => {
    const engines = open();
    engines.origin.put('far-models', 'a', BODY, { etag: 'e-3' });
    await part(engines, 1);
    const next = patternBytes(2 * MIB, 2);
    engines.origin.put('far-models', 'a', next, { etag: 'f-2' });
    const { result, bytes } = await part(engines, 2);
    expect(result).toMatchObject({ partsCount: 2, head: { etag: 'f-2' } });
    expect(bytes.equals(next.subarray(MIB))).toBe(true);
  });

  test('fails only once for a failed lookup: failures are not cached', async () => {
    const engines = open([new OrcaError('origin_denied', 'for now')]);
    engines.origin.put('far-models', 'a', BODY, { etag: 'e-3' });
    await expect(part(engines, 2)).rejects.toMatchObject({ code: 'origin_denied' });
    expect((await part(engines, 2)).result.partsCount).toBe(3);
  });

  test('has its preconditions evaluated before any lookup', async () => {
    const engines = open();
    engines.origin.put('far-models', 'a', BODY, { etag: 'e-3' });
    expect((await part(engines, 2, { conditions: { ifNoneMatch: '*' } })).result.status).toBe(304);
    await expect(part(engines, 9, { conditions: { ifMatch: '"x"' } })).rejects.toMatchObject({
      code: 'precondition_failed',
    });
    expect(engines.lookups).toEqual([]);
  });
});

describe('an object that was uploaded whole', () => {
  test('is its own first part, has no part count, and needs no lookup', async () => {
    const engines = open();
    engines.origin.put('far-models', 'a', BODY);
    const { result, bytes } = await part(engines, 1);
    expect(result).toMatchObject({ status: 206, partsCount: undefined });
    expect(bytes.equals(BODY)).toBe(true);
    await expect(part(engines, 2)).rejects.toMatchObject({ code: 'part_not_found', fields: { ActualPartCount: '1' } });
    expect(engines.lookups).toEqual([]);
  });

  test('that is empty has status 200, since no range could describe it', async () => {
    const engines = open();
    engines.origin.put('far-models', 'a', Buffer.alloc(0));
    expect((await part(engines, 1)).result).toMatchObject({ status: 200, range: { from: 0, to: 0 } });
  });
});

test.for([
  ['d41d8cd98f00b204e9800998ecf8427e', undefined],
  ['d41d8cd98f00b204e9800998ecf8427e-1', 1],
  ['d41d8cd98f00b204e9800998ecf8427e-10000', 10_000],
  ['0x8DC-1', 1],
  ['e-0', undefined],
  ['e-x', undefined],
] as const)('the part count in the ETag %s is %j', ([etag, count]) => {
  expect(partsCount(etag)).toBe(count);
});
