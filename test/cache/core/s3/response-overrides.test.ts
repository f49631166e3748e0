import { expect, test } from 'vitest';
import { responseOverrides } from '#cache/core/s3/response-overrides.ts';

const overrides = (query: Readonly<Record<string, string>>, signed = true) =>
  responseOverrides(new Map(Object.entries(query)), signed);

test('a signed request may override response headers', () => {
  expect(overrides({ 'response-content-type': 'text/x', 'response-expires': 'never', prefix: 'p' })).toEqual({
    'content-type': 'text/x',
    expires: 'never',
  });
});

test('an empty value does not override', () => {
  expect(overrides({ 'response-content-type': '' })).toEqual({});
});

test.for([
  [{ 'response-nonsense': 'x' }, true, 'invalid_argument'],
  [{ 'response-content-type': 'a\r\nset-cookie: b' }, true, 'invalid_argument'],
  [{ 'response-content-type': 'text/x' }, false, 'bad_request'],
] as const)('%j with signed %j is rejected', ([query, signed, code]) => {
  expect(() => overrides(query, signed)).toThrow(expect.objectContaining({ code }));
});
