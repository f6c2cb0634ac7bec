import { isIP } from 'node:net';
import { addressOf } from './address.ts';
import { digitAt } from './digits.ts';
import { hopsOf, MAX_HOPS } from './forwarded.ts';

const COLON = 58;

/**
 * Returns the network of an address: IPv4 with a last byte of 0, or the first 48 bits of IPv6, as assigned to
 * a site. In canonical form (RFC 5952), with IPv4-mapped IPv6 as IPv4. Returns `null` for an invalid address.
 */
export function anonymizeIp(address: string): string | null {
  const version = isIP(address);
  if (version === 4) return `${address.slice(0, address.lastIndexOf('.'))}.0`;
  if (version === 0) return null;
  readGroups(withoutZone(address));
  // By index, because destructuring the array costs more than parsing the address.
  const a = GROUPS[0]!;
  const b = GROUPS[1]!;
  const c = GROUPS[2]!;
  if ((a | b | c | GROUPS[3]! | GROUPS[4]!) === 0 && GROUPS[5] === 0xffff) {
    return `${GROUPS[6]! >> 8}.${GROUPS[6]! & 255}.${GROUPS[7]! >> 8}.0`;
  }
  if (c !== 0) return `${a.toString(16)}:${b.toString(16)}:${c.toString(16)}::`;
  if (b !== 0) return `${a.toString(16)}:${b.toString(16)}::`;
  return a === 0 ? '::' : `${a.toString(16)}::`;
}

/** The eight groups of the last parsed IPv6 address. A single array, reused to avoid allocation. */
const GROUPS = new Uint16Array(8);

/** Parses a valid IPv6 address into `GROUPS`. */
function readGroups(address: string): void {
  const text = address.includes('.') ? withoutDots(address) : address;
  let count = 0;
  let gap = -1;
  let group = -1;
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) !== COLON) {
      group = (group < 0 ? 0 : group << 4) | digitAt(text, i);
      continue;
    }
    if (group >= 0) GROUPS[count++] = group;
    group = -1;
    if (text.charCodeAt(i + 1) === COLON) gap = count;
  }
  if (group >= 0) GROUPS[count++] = group;
  if (gap < 0) return;
  const tail = 8 - (count - gap);
  GROUPS.copyWithin(tail, gap, count);
  GROUPS.fill(0, gap, tail);
}

/** Converts the dotted-decimal end of an IPv6 address to two groups. */
function withoutDots(address: string): string {
  const end = address.lastIndexOf(':') + 1;
  const [a = 0, b = 0, c = 0, d = 0] = address.slice(end).split('.').map(Number);
  return `${address.slice(0, end)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

function withoutZone(address: string): string {
  const percent = address.indexOf('%');
  return percent < 0 ? address : address.slice(0, percent);
}

/**
 * Masks each address of an X-Forwarded-For header. Removes ports, and replaces invalid addresses with
 * `unknown`.
 */
export function anonymizeForwarded(header: string): string {
  return hopsOf(header)
    .slice(0, MAX_HOPS)
    .map((hop) => anonymizeIp(addressOf(hop)) ?? 'unknown')
    .join(', ');
}
