import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT, section } from './documentation.ts';

interface Override {
  includes: string[];
  linter: {
    rules: { style: { noRestrictedImports: { options: { patterns: { group: string[] }[] } } } };
  };
}

/** Returns what a folder may import outside itself, from the exceptions to its rule. */
function allowed(folder: string, group: readonly string[]): string[] {
  const [parent, ...rest] = folder.replace(/\/$/, '').split('/');
  return group.flatMap((pattern) => {
    // `!**/errors.ts`, `!**/{platform,text}/**`, `!../protocol.ts`
    const [, from = '', names = '', tail = ''] = /^!(\*\*|\.\.)\/(.+?)(\/\*\*)?$/.exec(pattern) ?? [];
    if (from === '..' && rest.length === 0) return [];
    const prefix = from === '..' ? `${parent}/` : '';
    return names
      .replace(/[{}]/g, '')
      .split(',')
      .filter((name) => name !== '')
      .map((name) => `${prefix}${name}${tail ? '/' : ''}`);
  });
}

test('the architecture page has the layers as the linter enforces them', () => {
  const { overrides } = JSON.parse(readFileSync(join(ROOT, 'biome.layers.json'), 'utf8')) as {
    overrides: Override[];
  };
  const rows = overrides.map(({ includes: [include = ''], linter }) => {
    const folder = include.replace(/^src\//, '').replace(/\*\*$/, '');
    const { group } = linter.rules.style.noRestrictedImports.options.patterns[0]!;
    const names = allowed(folder, group).map((name) => `\`${name}\``);
    return `| \`${folder}\` | ${names.join(', ')} |`;
  });
  expect(rows.length).toBeGreaterThan(20);
  expect(section('docs/architecture.md', 'layers')).toBe(
    ['| folder or file of `src/` | may import, besides itself |', '| --- | --- |', ...rows].join('\n'),
  );
});
