/** `response-content-type=…` and its like: a signed request says what the answer's headers shall be. Pure. */
import { OrcaError } from '#cache/core/errors.ts';
import { isHeaderValue } from '#cache/core/object-headers.ts';

const OVERRIDES: Readonly<Record<string, string>> = {
  'response-content-type': 'content-type',
  'response-content-language': 'content-language',
  'response-expires': 'expires',
  'response-cache-control': 'cache-control',
  'response-content-disposition': 'content-disposition',
  'response-content-encoding': 'content-encoding',
};
const PREFIX = 'response-';

/** By lower-case header name. Throws `invalid_argument`, and `bad_request` for who is nobody in particular. */
export function responseOverrides(query: ReadonlyMap<string, string>, signed: boolean): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of query) {
    if (!name.startsWith(PREFIX)) continue;
    if (!signed)
      throw new OrcaError(
        'bad_request',
        'Request specific response headers cannot be used for anonymous GET requests.',
      );
    const header = OVERRIDES[name];
    if (header === undefined || !isHeaderValue(value))
      throw new OrcaError('invalid_argument', `${header === undefined ? 'An unknown' : 'An impossible'} override`, {
        fields: { ArgumentName: name, ArgumentValue: value },
      });
    // Nothing is no word for a header.
    if (value !== '') headers[header] = value;
  }
  return headers;
}
