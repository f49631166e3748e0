import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chunkAt } from '#cache/core/chunk.ts';
import { formatFillTarget, parseFillQuery } from '#cache/core/peer/fill-request.ts';
import {
  formatHeadTarget,
  formatInvalidateTarget,
  objectHash,
  parseHeadQuery,
  parseInvalidateQuery,
} from '#cache/core/peer/head-request.ts';
import { MAX_VERSION_ID_BYTES } from '#cache/core/object.ts';
import { codePoint } from '#test/support/fuzz.ts';

const MIB = 1024 * 1024;
const queryOf = (target: string): string => target.slice(target.indexOf('?') + 1);
const name = fc.string({ unit: codePoint, minLength: 1, maxLength: 20 });
const object = fc.record({ originId: fc.constant('models-eu'), bucket: name, key: name });
const versioned = fc.oneof(
  object,
  fc.record({ originId: fc.constant('models-eu'), bucket: name, key: name, versionId: name }),
);

describe('a request about an object or a version of it', () => {
  test('is parsed back to what was formatted', () => {
    fc.assert(
      fc.property(versioned, (object) => {
        expect(parseHeadQuery(queryOf(formatHeadTarget({ object, maxAgeMs: 5 })))).toEqual({ object, maxAgeMs: 5 });
        expect(parseInvalidateQuery(queryOf(formatInvalidateTarget({ object, etag: 'e' })))).toEqual({
          object,
          etag: 'e',
        });
        const chunk = chunkAt({ ...object, etag: 'e', sizeBytes: 10 }, MIB, 0);
        const target = formatFillTarget({ chunk, range: { from: 0, to: 10 } });
        expect(parseFillQuery(queryOf(target), { maxChunkSizeBytes: MIB }).chunk.object).toEqual(chunk.object);
      }),
    );
  });

  test('without a version is the same as in releases that know no versions', () => {
    expect(formatHeadTarget({ object: { originId: 'o', bucket: 'b', key: 'k' }, maxAgeMs: 5 })).toBe(
      '/internal/head?origin_id=o&bucket=b&key=k&max_age_ms=5',
    );
  });

  test.for(['', 'v'.repeat(MAX_VERSION_ID_BYTES + 1)])('with the version ID %j is rejected', (versionId) => {
    const query = `origin_id=o&bucket=b&key=k&max_age_ms=5&version_id=${versionId}`;
    expect(() => parseHeadQuery(query)).toThrow(expect.objectContaining({ code: 'bad_request' }));
  });
});

test('the coordinator of a version does not depend on other versions, and that of a key not on any', () => {
  const of = (versionId?: string) => objectHash({ bucket: 'b', key: 'k', versionId });
  expect(new Set([of(), of('v1'), of('v2')]).size).toBe(3);
  // Replicas of every release must agree.
  expect(of()).toBe('460c822973a70ca51843ec739c54ffc639cff75b281d3361d7f92c5edaf92327');
});

test('versions with the same content share their chunks', () => {
  const chunk = (versionId?: string) =>
    chunkAt({ originId: 'o', bucket: 'b', key: 'k', etag: 'e', sizeBytes: 10, versionId }, MIB, 0).path;
  expect(chunk('v1')).toBe(chunk());
});
