/**
 * Returns whether a value is a promise or thenable. Ignores its rejection, which would otherwise end the
 * process.
 */
export function ignoreRejection(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('then' in value)) return false;
  Promise.resolve(value).catch(() => {});
  return true;
}
