const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i;

/**
 * Returns a function that shortens these URLs for a table: to the path and query and, if they have different
 * hosts, the host.
 */
export function urlShortener(urls: readonly string[]): (url: string) => string {
  const hosts = new Set(urls.map((url) => ORIGIN.exec(url)?.[1]));
  return (url) => {
    const [origin, host] = ORIGIN.exec(url) ?? [];
    if (origin === undefined) return url;
    const rest = url.slice(origin.length);
    return hosts.size === 1 ? rest || '/' : `${host}${rest}`;
  };
}
