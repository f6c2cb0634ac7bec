/** MongoDB's own limit is 100; some that speak its protocol have lower ones. */
const DEEPEST = 20;

/**
 * Whether a value that JSON gave comes back from MongoDB as it is: without names that have a meaning there or to the
 * driver, or that some servers refuse.
 */
export function isPlain(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth === DEEPEST) return false;
  // A list within a list is more than some can do.
  if (Array.isArray(value)) return value.every((each) => !Array.isArray(each) && isPlain(each, depth + 1));
  return Object.entries(value).every(([name, each]) => isName(name) && isPlain(each, depth + 1));
}

function isName(name: string): boolean {
  return /^[^$.\0][^.\0]*$/s.test(name) && name !== '_bsontype' && name !== '__proto__' && name !== 'toBSON';
}
