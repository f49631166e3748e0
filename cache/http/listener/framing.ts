/**
 * Detects requests that Node's parser accepts but that another hop may read differently: where the body ends, or which
 * host is meant. Ambiguous requests are refused, against request smuggling (RFC 9112 §6.3, §3.2).
 */
import type { IncomingMessage } from 'node:http';

export function isAmbiguous(request: IncomingMessage): boolean {
  const coding = request.headers['transfer-encoding'];
  if (coding !== undefined && (request.httpVersion !== '1.1' || coding.toLowerCase() !== 'chunked')) return true;
  // HTTP/0.9 has no headers, in requests or responses.
  if (request.httpVersionMajor !== 1) return true;
  let hosts = 0;
  const { rawHeaders } = request;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (name.length === 'host'.length && name.toLowerCase() === 'host') hosts += 1;
  }
  return hosts > 1;
}
