/**
 * Azure Storage's Shared Key signature: HMAC-SHA-256 over the verb, some headers, all `x-ms-*` headers and the resource.
 * Pure: time and key come in.
 */
import { createHmac } from 'node:crypto';

export interface SharedKeyInput {
  readonly account: string;
  /** The account key's bytes, not its base64. */
  readonly key: Buffer;
  readonly method: string;
  /** As on the wire: percent-encoded, without the query. */
  readonly path: string;
  /** Not encoded. */
  readonly query: readonly (readonly [string, string])[];
  /** Lower-case names; must hold `x-ms-date` and `x-ms-version`. */
  readonly headers: Readonly<Record<string, string>>;
}

/** In the order in which they stand in the text that is signed; `date` is left out where there is an `x-ms-date`. */
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
  // A length of 0 is signed as none since version 2015-02-21.
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
