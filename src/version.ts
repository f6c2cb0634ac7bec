import { readFileSync } from 'node:fs';

/** The version of this package; `unknown` in a bundle, beside which its files are not. */
export function version(): string {
  try {
    const file = new URL('../package.json', import.meta.url);
    return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
  } catch {
    return 'unknown';
  }
}
