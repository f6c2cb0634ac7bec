/** The element that one proxy adds to `Forwarded` (RFC 7239); `''` for a missing parameter. */
export interface ForwardedElement {
  /** The node that the request came from. */
  for: string;
  proto: string;
  host: string;
}

/** Maximum number of hops that are read; the rest is ignored. */
export const MAX_HOPS = 64;

/** `name=token`, `name="quoted string"`, and what ends a pair or an element. */
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
    // An empty element of a list counts for nothing (RFC 9110 §5.6.1).
    if (header.slice(begin, at).trim() !== '') elements.push(element);
    at += 1;
  }
  return elements;
}

/** The hops of an X-Forwarded-For header, the client's first. */
export function hopsOf(forwardedFor: string): string[] {
  return forwardedFor
    .split(',')
    .map((hop) => hop.trim())
    .filter((hop) => hop !== '');
}
