/** Returns the name that differs from a mistyped one by a single letter or by two swapped letters. */
export function similar(given: string, names: readonly string[]): string | undefined {
  return names.find((name) => isTypo(given, name));
}

function isTypo(given: string, name: string): boolean {
  let start = 0;
  while (start < given.length && given[start] === name[start]) start += 1;
  const [a, b] = [given.slice(start), name.slice(start)];
  return (
    a.slice(1) === b || a === b.slice(1) || a.slice(1) === b.slice(1) || `${a[1]}${a[0]}${a.slice(2)}` === b
  );
}
