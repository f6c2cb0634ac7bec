import { readFileSync } from 'node:fs';

let known: string | undefined;

/** Returns the release of this package, or `unknown` if its files cannot be read, for example in a bundle. */
export function version(): string {
  known ??= read();
  return known;
}

function read(): string {
  try {
    // Bundlers would include the file if this were one expression.
    const here = import.meta.url;
    const { name, version } = JSON.parse(readFileSync(new URL('../../package.json', here), 'utf8'));
    // The file beside a bundle belongs to another package.
    if (name === 'track-usage') return String(version);
  } catch {}
  return 'unknown';
}
