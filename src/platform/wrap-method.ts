type Method = (...given: never[]) => unknown;

/**
 * Replaces a method of an object transparently. An object's own method is replaced on the object. An
 * inherited one stays: `original` looks it up at each call, so that later replacements on the prototype are
 * called too.
 * @param make Creates the replacement from `original`, which returns the current original method.
 */
export function wrapMethod<M extends Method>(
  target: object,
  name: string,
  make: (original: () => M) => M,
): void {
  const own = Object.getOwnPropertyDescriptor(target, name);
  const before = own && ((target as Record<string, unknown>)[name] as M);
  const inherited = () => Object.getPrototypeOf(target)[name] as M;
  Object.defineProperty(target, name, {
    configurable: true,
    writable: true,
    enumerable: own?.enumerable ?? false,
    value: make(before === undefined ? inherited : () => before),
  });
}
