/** What a URL of a server has to look like, for messages. */
export const ESCAPED = 'in which "@", "/", "?", "#" and "%" of a password are percent-encoded';

/**
 * Whether a URL may be read in another way than it was meant: a password ends at a "/", "?" or "#" that is not
 * percent-encoded, and what is left of it would be taken for a path, and shown. Or a "%" encodes nothing.
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
