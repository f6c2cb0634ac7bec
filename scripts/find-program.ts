import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Returns the path of a build tool, or `undefined` if it is not installed. */
export function findProgram(name: string, ...others: readonly string[]): string | undefined {
  const places = [...(process.env.PATH ?? '').split(delimiter), ...others];
  return places.map((place) => join(place, name)).find((program) => existsSync(program));
}
