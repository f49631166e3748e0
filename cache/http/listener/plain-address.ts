/** Addresses of clients, as people and logs write them. */

/** How a socket that accepts IPv6 and IPv4 names an IPv4 client (RFC 4291, section 2.5.5.2). */
const MAPPED = '::ffff:';

/** `::ffff:10.0.0.1` is `10.0.0.1`, as if the listener had been one of IPv4. */
export function plainAddress(address: string | undefined): string | undefined {
  return address?.startsWith(MAPPED) && address.includes('.') ? address.slice(MAPPED.length) : address;
}
