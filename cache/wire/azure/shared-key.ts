/**
 * Azure Storage's Shared Key signature: HMAC-SHA-256 over the verb, some headers, all `x-ms-*` headers and the
 * resource. Pure: time and key are parameters.
 */
import { createHmac } from 'node:crypto';

export interface SharedKeyInput {
  readonly account: string;
  /** The decoded account key, not its base64. */
  readonly key: Buffer;
  readonly method: string;
  /** As sent: percent-encoded, without the query. */
  readonly path: string;
  /** Not percent-encoded. */
  readonly query: readonly (readonly [string, string])[];
  /** Lower-case names; must contain `x-ms-date` and `x-ms-version`. */
  readonly headers: Readonly<Record<string, string>>;
}

/** In the order of the string to sign. `date` stays empty, because `x-ms-date` is always sent. */
const SIGNED_HEADERS = [
  'content-encoding',
  'content-language',
  'content-length',
  'content-md5',
  'content-type',
  'date',
  'if-modified-since',
  'if-match',
  'if-none-match',
  'if-unmodified-since',
  'range',
] as const;

/** The value of the Authorization header. */
export function sharedKeyAuthorization(input: SharedKeyInput): string {
  const signature = createHmac('sha256', input.key).update(stringToSign(input), 'utf8').digest('base64');
  return `SharedKey ${input.account}:${signature}`;
}

export function stringToSign({ account, method, path, query, headers }: SharedKeyInput): string {
  // Since version 2015-02-21 a Content-Length of 0 is signed as an empty string.
  const value = (name: string): string =>
    name === 'content-length' && headers[name] === '0' ? '' : (headers[name] ?? '');
  const own = Object.keys(headers)
    .filter((name) => name.startsWith('x-ms-'))
    .toSorted()
    .map((name) => `${name}:${headers[name]?.trim() ?? ''}\n`);
  const parameters = query
    .map(([name, text]) => [name.toLowerCase(), text] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, text]) => `\n${name}:${text}`);
  return [method, ...SIGNED_HEADERS.map(value), `${own.join('')}/${account}${path}${parameters.join('')}`].join('\n');
}
