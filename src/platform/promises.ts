/**
 * Whether it is a promise, or what works as one. Its failure, which nobody waits for, does not end the process then.
 */
export function letGo(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('then' in value)) return false;
  Promise.resolve(value).catch(() => {});
  return true;
}
