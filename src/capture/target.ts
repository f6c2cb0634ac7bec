/**
 * Returns the path of a request target, as it was sent: without the query, and without the origin of an
 * absolute URL.
 */
export function pathOf(target: string): string {
  if (target.charCodeAt(0) !== 47 /* / */) return URL.parse(target)?.pathname ?? target;
  const query = target.indexOf('?');
  return query < 0 ? target : target.slice(0, query);
}

/**
 * Returns the path as `new URL()` normalizes it: without dot segments, encoded or not, and with `/` for `\`.
 * Hono and most servers without a framework route by this path.
 */
export function normalizedPathOf(target: string): string {
  const path = pathOf(target);
  return hasDotSegments(path) || path.includes('\\') ? new URL(`http://h${path}`).pathname : path;
}

/** Returns whether a path has `.` or `..` segments, encoded or not. */
export function hasDotSegments(path: string): boolean {
  return /[\\/](?:\.|%2e){1,2}(?:[\\/?#]|$)/i.test(path);
}
