import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ENGINES, SYSTEM } from './projects.ts';

const ROOT = join(import.meta.dirname, '..');
const files = (patterns: readonly string[]) => globSync([...patterns], { cwd: ROOT }).sort();
const all = files(['test/**/*.test.ts']);
const engines = files(ENGINES);
const system = files(SYSTEM);
const unit = all.filter((file) => !engines.includes(file) && !system.includes(file));

/** The files of `test/` that a file imports, and that these import. */
function importsOf(file: string, found = new Set<string>()): Set<string> {
  const text = readFileSync(join(ROOT, file), 'utf8');
  for (const [, name = ''] of text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)) {
    const path = relative(ROOT, resolve(ROOT, dirname(file), name));
    if (!path.startsWith('test/') || found.has(path)) continue;
    found.add(path);
    importsOf(path, found);
  }
  return found;
}

describe('the Vitest projects', () => {
  test.each([...ENGINES, ...SYSTEM])('%s matches files', (pattern) => {
    expect(files([pattern])).not.toEqual([]);
  });

  test('no file belongs to both engines and system', () => {
    expect(engines.filter((file) => system.includes(file))).toEqual([]);
  });

  test('no file of unit imports what starts a service or a browser', () => {
    // Helpers of these folders and files start programs that npm does not bring.
    const starts = /^test\/support\/(?:servers\/|services\.ts|browser\.ts|prometheus\.ts)/;
    const wrong = unit.flatMap((file) =>
      [...importsOf(file)].filter((path) => starts.test(path)).map((path) => `${file}: ${path}`),
    );
    expect(wrong).toEqual([]);
  });

  test('each file of engines imports a server', () => {
    const servers = /^test\/support\/servers\//;
    const wrong = engines.filter((file) => ![...importsOf(file)].some((path) => servers.test(path)));
    expect(wrong).toEqual([]);
  });
});
