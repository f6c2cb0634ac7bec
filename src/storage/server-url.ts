/** Required escaping in a server's URL, for messages. */
export const ESCAPED = 'in which "@", "/", "?", "#" and "%" of a password are percent-encoded';

/**
 * Returns whether a URL may be parsed differently than intended. An unescaped "/", "?" or "#" ends a
 * password, and its rest would be read as a path and shown in messages. Also true for a "%" that encodes
 * nothing.
 */
export function isAmbiguous(url: string): boolean {
  const [, behindHost = ''] = /^[\w+.-]+:\/\/[^/?#]*(.*)$/s.exec(url) ?? [];
  if (/[@#]/.test(behindHost)) return true;
  try {
    decodeURIComponent(url);
    return false;
  } catch {
    return true;
  }
}
