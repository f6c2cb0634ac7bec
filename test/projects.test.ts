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

/** Returns the files of `test/` that a file imports, directly or indirectly. */
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

describe('Vitest projects', () => {
  test.each([...ENGINES, ...SYSTEM])('%s matches files', (pattern) => {
    expect(files([pattern])).not.toEqual([]);
  });

  test('no file is in both engines and system', () => {
    expect(engines.filter((file) => system.includes(file))).toEqual([]);
  });

  test('no unit test imports a helper that starts a service or a browser', () => {
    // These helpers start programs that npm does not install.
    const starts = /^test\/support\/(?:servers\/|services\.ts|browser\.ts|prometheus\.ts)/;
    const imports = unit.flatMap((file) =>
      [...importsOf(file)].filter((path) => starts.test(path)).map((path) => `${file}: ${path}`),
    );
    expect(imports).toEqual([]);
  });

  test('each file in engines imports a server', () => {
    const servers = /^test\/support\/servers\//;
    const without = engines.filter((file) => ![...importsOf(file)].some((path) => servers.test(path)));
    expect(without).toEqual([]);
  });
});
