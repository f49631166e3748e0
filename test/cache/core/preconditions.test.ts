import { describe, expect, test } from 'vitest';
import { evaluatePreconditions, rangeApplies, type Preconditions } from '#cache/core/preconditions.ts';

const object = { etag: 'abc', lastModifiedMs: Date.UTC(2026, 0, 1, 12, 0, 0, 500) };
const SAME = 'Thu, 01 Jan 2026 12:00:00 GMT';
const BEFORE = 'Thu, 01 Jan 2026 11:59:59 GMT';
const AFTER = 'Thu, 01 Jan 2026 12:00:01 GMT';

const proceed = { kind: 'proceed' };
const notModified = { kind: 'not_modified' };
const failedMatch = { kind: 'failed', condition: 'If-Match' };
const failedSince = { kind: 'failed', condition: 'If-Unmodified-Since' };

describe('evaluatePreconditions in the order of RFC 9110 §13.2.2', () => {
  test.for<[Preconditions, unknown]>([
    [{}, proceed],
    [{ ifMatch: '"abc"' }, proceed],
    [{ ifMatch: 'abc' }, proceed],
    [{ ifMatch: '*' }, proceed],
    [{ ifMatch: '"x", "abc"' }, proceed],
    [{ ifMatch: '"x"' }, failedMatch],
    [{ ifMatch: 'W/"abc"' }, failedMatch],
    [{ ifMatch: 'W/"abc", "abc"' }, proceed],
    [{ ifMatch: '"abc"', ifUnmodifiedSince: BEFORE }, proceed],
    [{ ifMatch: '"x"', ifUnmodifiedSince: AFTER }, failedMatch],
    [{ ifUnmodifiedSince: BEFORE }, failedSince],
    [{ ifUnmodifiedSince: SAME }, proceed],
    [{ ifUnmodifiedSince: 'yesterday' }, proceed],
    [{ ifUnmodifiedSince: '0' }, proceed],
    [{ ifNoneMatch: '"abc"' }, notModified],
    [{ ifNoneMatch: 'W/"abc"' }, notModified],
    [{ ifNoneMatch: '*' }, notModified],
    [{ ifNoneMatch: '"x"' }, proceed],
    [{ ifNoneMatch: '"x"', ifModifiedSince: AFTER }, proceed],
    [{ ifModifiedSince: SAME }, notModified],
    [{ ifModifiedSince: BEFORE }, proceed],
    [{ ifModifiedSince: 'tomorrow' }, proceed],
    [{ ifUnmodifiedSince: BEFORE, ifNoneMatch: '"abc"' }, failedSince],
    [{ ifMatch: '"x"', ifNoneMatch: '"abc"' }, failedMatch],
    [{ ifMatch: '"abc"', ifNoneMatch: '"abc"' }, notModified],
  ])('%o', ([conditions, expected]) => {
    expect(evaluatePreconditions(conditions, object)).toEqual(expected);
  });
});

test.for<[string | undefined, boolean]>([
  [undefined, true],
  ['"abc"', true],
  ['abc', true],
  ['"x"', false],
  ['W/"abc"', false],
  [SAME, true],
  [BEFORE, false],
  [AFTER, false],
])('with If-Range %s the Range header applies: %s', ([ifRange, applies]) => {
  expect(rangeApplies({ ifRange }, object)).toBe(applies);
});
