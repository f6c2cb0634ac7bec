/** Maximum nesting depth. MongoDB's own limit is 100; some compatible servers have lower ones. */
const MAX_DEPTH = 20;

/**
 * Returns whether a JSON value can be stored in MongoDB without change. It cannot contain names that MongoDB
 * or the driver interprets, or that some servers refuse.
 */
export function isPlain(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth === MAX_DEPTH) return false;
  // Some compatible servers do not support nested arrays.
  if (Array.isArray(value)) return value.every((each) => !Array.isArray(each) && isPlain(each, depth + 1));
  return Object.entries(value).every(([name, each]) => isName(name) && isPlain(each, depth + 1));
}

function isName(name: string): boolean {
  return /^[^$.\0][^.\0]*$/s.test(name) && name !== '_bsontype' && name !== '__proto__' && name !== 'toBSON';
}
