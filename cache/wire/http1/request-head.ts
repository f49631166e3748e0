/** Formats the head of a request. Rejects anything that could inject a line (request splitting). Pure. */
import type { RawRequest } from './message.ts';

const TARGET = /^\/[\x21-\x7e]*$/;
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export function requestHead(method: string, request: Pick<RawRequest, 'path' | 'headers'>, authority: string): string {
  if (!TARGET.test(request.path))
    throw new RangeError('a request target must begin with / and contain only visible ASCII');
  let head = `${method} ${request.path} HTTP/1.1\r\n`;
  let host = false;
  for (const [name, value] of Object.entries(request.headers)) {
    if (!NAME.test(name) || !VALUE.test(value))
      throw new RangeError(`the request header ${JSON.stringify(name)} can't be sent`);
    if (name.toLowerCase() === 'host') host = true;
    head += `${name}: ${value}\r\n`;
  }
  if (!host) head += `host: ${authority}\r\n`;
  // Bodies must arrive as they are stored: a compressed body has a different length.
  return `${head}connection: keep-alive\r\naccept-encoding: identity\r\n\r\n`;
}
