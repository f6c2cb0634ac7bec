import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blocks, Newcomer, PAGES } from './newcomer.ts';

let newcomer: Newcomer;
/** Where the README's program ran, with the database that it left. */
let directory: string;
let said: string;

beforeAll(async () => {
  newcomer = new Newcomer();
  directory = newcomer.directory();
  const [program = ''] = blocks('README.md', 'js');
  const { stdout, stderr } = await newcomer.run(program, directory, /└.*\n/);
  expect(stderr).toBe('');
  said = stdout;
});

afterAll(() => newcomer.leave());

const programs = PAGES.flatMap((page) =>
  blocks(page, 'js').map((program, index) => ({ page, program, name: `${page}, program ${index + 1}` })),
);
const ofBlocks = (language: string) => PAGES.flatMap((page) => blocks(page, language));

describe('the README', () => {
  it('shows what its program prints', () => {
    const [shown = ''] = blocks('README.md', 'text');
    const undated = (text: string) => text.replace(/\d{4}-\d\d-\d\dT/g, 'YYYY-MM-DDT');
    expect(undated(said)).toBe(undated(shown));
  });
});

describe('the pages', () => {
  it.each(programs)('$name runs', async ({ program }) => {
    const { stderr, code } = await newcomer.run(program, newcomer.directory(), undefined, 2_000);
    expect(stderr).toBe('');
    expect(code ?? 0).toBe(0);
  });

  it.each(
    ofBlocks('sh')
      .flatMap((block) => block.trim().split('\n'))
      .filter((line) => line.startsWith('npx track-usage '))
      .map((line) => [line]),
  )('%s', (line) => {
    const bin = `${process.execPath} ${join(newcomer.package, 'dist/cli/bin.js')}`;
    execFileSync('sh', ['-c', line.replace('npx track-usage', bin)], { cwd: directory });
  });

  it.each(ofBlocks('sql').map((query) => [query]))('%s', (query) => {
    const database = new DatabaseSync(join(directory, 'usage.db'));
    database.prepare(query).all();
    database.close();
  });
});
