type Method = (...given: never[]) => unknown;

/**
 * Replaces a method of an object so that everything else goes on as without the replacement. An object's own method is
 * replaced where it is. An inherited one stays: `original` looks it up at each call, so that what replaces it on the
 * prototype later is called too.
 * @param make Makes the replacement from `original`, which returns the method that it stands for.
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
