import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ENDPOINTS } from '../../src/server/api.ts';
import { jsonSchema } from '../../src/server/openapi.ts';
import { ROOT, read, section } from '../docs/documentation.ts';

const API = read('docs/reference/http-api.md');

describe('the HTTP API reference', () => {
  test('documents every endpoint and parameter', () => {
    for (const { path, parameters } of ENDPOINTS) {
      expect(API).toContain(`| \`GET ${path}\` |`);
      const { properties = {} } = jsonSchema(parameters, 'input');
      for (const name of Object.keys(properties as object)) expect(API).toContain(`\`${name}\``);
    }
  });

  test('documents every problem code', () => {
    const sources = globSync('src/server/*.ts', { cwd: ROOT }).map((file) =>
      readFileSync(join(ROOT, file), 'utf8'),
    );
    const codes = new Set(
      sources.flatMap((source) => [
        ...[...source.matchAll(/'([A-Z]+_[A-Z]+)'/g)].map(([, code]) => code),
        ...[...source.matchAll(/^ {2}([A-Z_]+): 4\d\d,$/gm)].map(([, code]) => code),
      ]),
    );
    // Thrown when the handler is created, for the command line's time zone, and caught.
    for (const code of ['OPTION_INVALID', 'TIME_ZONE_UNKNOWN', 'SITE_EMPTY']) codes.delete(code);
    const named = [...section('docs/reference/http-api.md', 'codes').matchAll(/^\| `(\w+)` \|/gm)].map(
      ([, code]) => code,
    );
    expect(named.toSorted()).toEqual([...codes].toSorted());
  });
});

test('the security page names only existing tests', () => {
  const files = ['server/security', 'journal/journal', 'journal/owner'];
  const tests = files.map((file) => read(`test/${file}.test.ts`)).join('');
  const rows = [...read('docs/operations/security.md').matchAll(/^\| (?!promise|---).* \| ([^|]+) \|$/gm)];
  const names = rows.flatMap(([, cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name));
  expect(names.length).toBeGreaterThan(20);
  for (const name of names) expect(tests).toContain(name);
});
