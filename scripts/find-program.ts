import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where a program is that builds another one; `undefined` where it is not installed. */
export function findProgram(name: string, ...others: readonly string[]): string | undefined {
  const places = [...(process.env.PATH ?? '').split(delimiter), ...others];
  return places.map((place) => join(place, name)).find((program) => existsSync(program));
}
