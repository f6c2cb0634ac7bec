import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { blocks, Newcomer, PAGES, shown } from './newcomer.ts';

/** The pages whose commands ask the database that their own first program leaves; the others ask the README's. */
const WITH_DATABASE = ['README.md', 'docs/guides/custom-summaries.md', 'docs/guides/access-logs.md'];
/** The pages whose programs print what stands below them. */
const SHOWN = [
  'docs/guides/custom-summaries.md',
  'docs/concepts/range-queries.md',
  'docs/guides/hooks.md',
  'docs/guides/access-logs.md',
];

let newcomer: Newcomer;
/** By page, where its first program ran, with the database that it left. */
const directories = new Map<string, string>();
let said: string;

beforeAll(async () => {
  newcomer = new Newcomer();
  for (const page of WITH_DATABASE) {
    const directory = newcomer.directory(page);
    const [program = ''] = blocks(page, 'js');
    const { stdout, stderr } = await newcomer.run(program, directory, /└.*\n/);
    expect(stderr).toBe('');
    directories.set(page, directory);
    if (page === 'README.md') said = stdout;
  }
}, 60_000);

afterAll(() => newcomer.leave());

const answers = SHOWN.flatMap((page) =>
  shown(page).map((sample, index) => ({ page, ...sample, name: `${page}, answer ${index + 1}` })),
);
const programs = PAGES.flatMap((page) =>
  blocks(page, 'js').map((program, index) => ({ page, program, name: `${page}, program ${index + 1}` })),
).filter(
  ({ page, program }) => !answers.some((answer) => answer.page === page && answer.program === program),
);
const ofBlocks = (language: string) =>
  PAGES.flatMap((page) =>
    blocks(page, language).map((text) => ({
      text,
      page: WITH_DATABASE.includes(page) ? page : 'README.md',
    })),
  );

/** Dates and times differ from run to run. */
const undated = (text: string) =>
  text
    .replace(/\d{4}-\d\d-\d\dT(?!00:00:00\+)[\d:.]+/g, 'YYYY-MM-DDThh:mm:ss.mmm')
    .replace(/\d{4}-\d\d-\d\d/g, 'YYYY-MM-DD')
    .replace(/\d\d\/\w{3}\/\d{4}:[\d:]+/g, 'DD/Mon/YYYY:hh:mm:ss')
    .replace(/\d+\.\d ms/g, 'N ms');

test('the programs of all pages are TypeScript too', () => {
  const all = [...programs, ...answers];
  expect(all.length).toBeGreaterThan(40);
  expect(newcomer.compile(all)).toBe('');
});

describe('the README', () => {
  test('shows what its program prints', () => {
    const [printed = ''] = blocks('README.md', 'text');
    expect(undated(said)).toBe(undated(printed));
  });
});

describe('the pages', () => {
  test.each(programs)('$name runs', async ({ page, program }) => {
    const { stderr, code } = await newcomer.run(program, newcomer.directory(page), undefined, 2_000);
    expect(stderr).toBe('');
    expect(code ?? 0).toBe(0);
  });

  test.each(answers)('$name is what is printed', async ({ page, program, printed }) => {
    const { stdout, stderr, code } = await newcomer.run(program, newcomer.directory(page));
    expect(undated(stdout)).toBe(undated(printed));
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  });

  test.each(
    ofBlocks('sh').flatMap(({ text, page }) =>
      text
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('npx track-usage '))
        .map((line) => ({ line, page })),
    ),
  )('$line', ({ line, page }) => {
    const bin = `${process.execPath} ${join(newcomer.package, 'dist/cli/bin.js')}`;
    const { status } = spawnSync('sh', ['-c', line.replace('npx track-usage', bin)], {
      cwd: directories.get(page),
    });
    // The range of a report may have no requests here.
    expect(status).toBeOneOf(line.includes(' report ') ? [0, 3] : [0]);
  });

  test.each(ofBlocks('sql'))('$text', ({ text, page }) => {
    const database = new DatabaseSync(join(directories.get(page)!, 'usage.db'));
    database.prepare(text).all();
    database.close();
  });
});
