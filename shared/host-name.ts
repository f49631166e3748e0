/** `[::1]` → `::1`: URLs and addresses with a port enclose an IPv6 address in brackets, sockets take it without them. */
export function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}
