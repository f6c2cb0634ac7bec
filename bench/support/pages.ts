import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Report } from './options.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/**
 * Writes the result of a benchmark to the docs: everything to its own page, a few rows to the README.
 */
export function writePages(
  name: string,
  about: string,
  { method, tables, short, readme, verdict }: Report,
): void {
  const details = tables.map(({ title, text }) => `### ${title}\n\n${text}`);
  const paragraphs = [about, method, ...(verdict ? [verdict] : []), ...(short ? [short] : []), ...details];
  writeBlock('docs/project/benchmarks.md', name, paragraphs);
  if (readme) writeBlock('README.md', name, [about, readme]);
}

/** Replaces the text between the markers of that name. A page without them is not changed. */
function writeBlock(page: string, name: string, paragraphs: readonly string[]): void {
  const file = join(ROOT, page);
  const text = readFileSync(file, 'utf8');
  const [open, close] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const [from, to] = [text.indexOf(open), text.indexOf(close)];
  if (from < 0 || to < from) return;
  const block = `${open}\n${paragraphs.join('\n\n')}\n\n`;
  writeFileSync(file, text.slice(0, from) + block + text.slice(to));
}
