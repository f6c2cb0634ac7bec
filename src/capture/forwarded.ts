/** Element that a proxy adds to `Forwarded` (RFC 7239). Missing parameters are `''`. */
export interface ForwardedElement {
  /** Node from which the request came. */
  for: string;
  proto: string;
  host: string;
}

/** Maximum number of hops that are read; the rest is ignored. */
export const MAX_HOPS = 64;

/** Matches `name=token` or `name="quoted string"`, and the end of a pair or an element. */
const PAIR = /[\s;]*([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))\s*/y;

/**
 * Reads the elements of a `Forwarded` header, in the order in which they were added. A malformed element has no node,
 * so that no element before it is trusted.
 */
export function parseForwarded(header: string): ForwardedElement[] {
  const elements: ForwardedElement[] = [];
  let at = 0;
  while (at < header.length && elements.length < MAX_HOPS) {
    const begin = at;
    const element: ForwardedElement = { for: '', proto: '', host: '' };
    for (;;) {
      PAIR.lastIndex = at;
      const pair = PAIR.exec(header);
      if (!pair) break;
      at = PAIR.lastIndex;
      const name = pair[1]!.toLowerCase();
      const value = pair[2] === undefined ? pair[3]! : pair[2].replace(/\\(.)/g, '$1');
      if (name === 'for' || name === 'proto' || name === 'host') element[name] = value;
      if (header[at] !== ';') break;
    }
    const comma = header.indexOf(',', at);
    at = comma < 0 ? header.length : comma;
    // Empty list elements are ignored (RFC 9110 §5.6.1).
    if (header.slice(begin, at).trim() !== '') elements.push(element);
    at += 1;
  }
  return elements;
}

/** Returns the hops of an X-Forwarded-For header, starting with the client's. */
export function hopsOf(forwardedFor: string): string[] {
  return forwardedFor
    .split(',')
    .map((hop) => hop.trim())
    .filter((hop) => hop !== '');
}
