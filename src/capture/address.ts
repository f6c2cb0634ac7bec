import { isIP, SocketAddress } from 'node:net';

/**
 * Returns the IP address in a hop of X-Forwarded-For or a node of `Forwarded` (RFC 7239 §6), in canonical
 * form (RFC 5952). Removes quotes, brackets, port and zone. IPv4-mapped IPv6 becomes IPv4. Returns `''` if
 * there is none.
 */
export function addressOf(hop: string): string {
  const version = isIP(hop);
  if (version === 4) return hop;
  if (version === 6) return canonical(hop);
  // 192.0.2.1:5000 (Azure, IIS), [2001:db8::1], "[2001:db8::1]:443"; a port may be obfuscated: _port (RFC 7239 §6.2).
  const [, v6, v4] = /^"?(?:\[([^\]]*)\]|([\d.]+))(?::[\w.-]*)?"?$/.exec(hop) ?? [];
  if (v4 !== undefined) return isIP(v4) === 4 ? v4 : '';
  return v6 !== undefined && isIP(v6) === 6 ? canonical(v6) : '';
}

/** Returns true if a proxy marks the address as unknown or obfuscated (RFC 7239 §6.2, §6.3). */
export function isWithheld(hop: string): boolean {
  return /^"?(?:unknown|_[\w.-]+)(?::[\w.-]*)?"?$/i.test(hop);
}

function canonical(address: string): string {
  const zone = address.indexOf('%');
  const bare = zone < 0 ? address : address.slice(0, zone);
  return withoutMapping(new SocketAddress({ address: bare, family: 'ipv6' }).address);
}

/** Converts an IPv4-mapped address to IPv4, as seen on dual-stack sockets (`::ffff:192.0.2.1`). */
export function withoutMapping(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
