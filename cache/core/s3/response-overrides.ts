/** Response header overrides of signed requests, such as `response-content-type=…`. */
import { OrcaError } from '#cache/core/errors.ts';
import { isHeaderValue } from '#cache/core/object-headers.ts';
import { ownValue } from '#cache/core/own-value.ts';

const OVERRIDES: Readonly<Record<string, string>> = {
  'response-content-type': 'content-type',
  'response-content-language': 'content-language',
  'response-expires': 'expires',
  'response-cache-control': 'cache-control',
  'response-content-disposition': 'content-disposition',
  'response-content-encoding': 'content-encoding',
};
const PREFIX = 'response-';
const NONE: Readonly<Record<string, string>> = {};

/** Overrides by lower-case header name. Throws `invalid_argument`, or `bad_request` for an anonymous request. */
export function responseOverrides(
  query: ReadonlyMap<string, string>,
  signed: boolean,
): Readonly<Record<string, string>> {
  if (query.size === 0) return NONE;
  const headers: Record<string, string> = {};
  for (const [name, value] of query) {
    if (!name.startsWith(PREFIX)) continue;
    if (!signed)
      throw new OrcaError(
        'bad_request',
        'Request specific response headers cannot be used for anonymous GET requests.',
      );
    const header = ownValue(OVERRIDES, name);
    if (header === undefined || !isHeaderValue(value))
      throw new OrcaError(
        'invalid_argument',
        `${name}: ${header === undefined ? 'unknown override' : 'invalid value'}`,
        {
          fields: { ArgumentName: name, ArgumentValue: value },
        },
      );
    // An empty value does not override.
    if (value !== '') headers[header] = value;
  }
  return headers;
}
