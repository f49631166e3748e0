import { expect, test } from 'vitest';
import { responseOverrides } from '#cache/core/s3/response-overrides.ts';

const overrides = (query: Readonly<Record<string, string>>, signed = true) =>
  responseOverrides(new Map(Object.entries(query)), signed);

test('who signs says what the headers shall be', () => {
  expect(overrides({ 'response-content-type': 'text/x', 'response-expires': 'never', prefix: 'p' })).toEqual({
    'content-type': 'text/x',
    expires: 'never',
  });
});

test('nothing is no word for a header', () => {
  expect(overrides({ 'response-content-type': '' })).toEqual({});
});

test.for([
  [{ 'response-nonsense': 'x' }, true, 'invalid_argument'],
  [{ 'response-content-type': 'a\r\nset-cookie: b' }, true, 'invalid_argument'],
  [{ 'response-content-type': 'text/x' }, false, 'bad_request'],
] as const)('%j with a signature: %j is refused', ([query, signed, code]) => {
  expect(() => overrides(query, signed)).toThrow(expect.objectContaining({ code }));
});
