/** The head of a request as it goes on the wire; what could end a line early is refused here. Pure. */
import type { RawRequest } from './raw-client.ts';

const TARGET = /^\/[\x21-\x7e]*$/;
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export function requestHead(method: string, request: Pick<RawRequest, 'path' | 'headers'>, authority: string): string {
  if (!TARGET.test(request.path))
    throw new RangeError('a request target must begin with / and hold only visible ASCII');
  let head = `${method} ${request.path} HTTP/1.1\r\n`;
  let host = false;
  for (const [name, value] of Object.entries(request.headers)) {
    if (!NAME.test(name) || !VALUE.test(value))
      throw new RangeError(`the request header ${JSON.stringify(name)} can't be sent`);
    if (name.toLowerCase() === 'host') host = true;
    head += `${name}: ${value}\r\n`;
  }
  if (!host) head += `host: ${authority}\r\n`;
  // Bytes must stay as they are stored: whatever is compressed on the way has another length.
  return `${head}connection: keep-alive\r\naccept-encoding: identity\r\n\r\n`;
}
