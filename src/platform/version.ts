import { readFileSync } from 'node:fs';

let known: string | undefined;

/** The release of this package; `unknown` where its files are not to be read, such as in a bundle. */
export function version(): string {
  known ??= read();
  return known;
}

function read(): string {
  try {
    // Bundlers would take the file along if this were one expression.
    const here = import.meta.url;
    const { name, version } = JSON.parse(readFileSync(new URL('../../package.json', here), 'utf8'));
    // Beside a bundle stands another package's.
    if (name === 'track-usage') return String(version);
  } catch {}
  return 'unknown';
}
