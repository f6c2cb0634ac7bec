import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Returns the path of a build tool, or `undefined` if it is not installed. */
export function findProgram(name: string, ...others: readonly string[]): string | undefined {
  const directories = [...(process.env.PATH ?? '').split(delimiter), ...others];
  return directories.map((directory) => join(directory, name)).find((program) => existsSync(program));
}
