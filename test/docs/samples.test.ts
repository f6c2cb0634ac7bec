import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { blocks, DocsProject, PAGES, programsWithOutput } from './documentation.ts';

/** Pages whose commands use the database of their own first program. Others use that of the README. */
const WITH_DATABASE = ['README.md', 'docs/guides/custom-summaries.md', 'docs/guides/access-logs.md'];
/** Pages whose programs query the database of the README. */
const WITH_README_DATABASE = ['docs/operations/maintenance.md'];
/** Pages that show the output of their programs. */
const PAGES_WITH_OUTPUT = [
  'docs/guides/custom-summaries.md',
  'docs/concepts/range-queries.md',
  'docs/guides/hooks.md',
  'docs/guides/access-logs.md',
];

let project: DocsProject;
/** Directory of each page's first program, with its database. */
const directories = new Map<string, string>();
let output: string;

beforeAll(async () => {
  project = new DocsProject();
  for (const page of WITH_DATABASE) {
    const directory = project.directory(page);
    const [program = ''] = blocks(page, 'js');
    const { stdout, stderr } = await project.run(program, directory, /└.*\n/);
    expect(stderr).toBe('');
    directories.set(page, directory);
    if (page === 'README.md') output = stdout;
  }
}, 60_000);

afterAll(() => project.remove());

const samples = PAGES_WITH_OUTPUT.flatMap((page) =>
  programsWithOutput(page).map((sample, index) => ({
    page,
    ...sample,
    name: `${page}, sample ${index + 1}`,
  })),
);
const programs = PAGES.flatMap((page) =>
  blocks(page, 'js').map((program, index) => ({ page, program, name: `${page}, program ${index + 1}` })),
).filter(
  ({ page, program }) => !samples.some((sample) => sample.page === page && sample.program === program),
);
const ofBlocks = (language: string) =>
  PAGES.flatMap((page) =>
    blocks(page, language).map((text) => ({
      text,
      page: WITH_DATABASE.includes(page) ? page : 'README.md',
    })),
  );

/** Replaces dates and times, which differ between runs. */
const undated = (text: string) =>
  text
    .replace(/\d{4}-\d\d-\d\dT(?!00:00:00\+)[\d:.]+/g, 'YYYY-MM-DDThh:mm:ss.mmm')
    .replace(/\d{4}-\d\d-\d\d/g, 'YYYY-MM-DD')
    .replace(/\d\d\/\w{3}\/\d{4}:[\d:]+/g, 'DD/Mon/YYYY:hh:mm:ss')
    .replace(/\d+\.\d ms/g, 'N ms');

test('the programs of all pages compile as TypeScript', () => {
  const all = [...programs, ...samples];
  expect(all.length).toBeGreaterThan(40);
  expect(project.compile(all)).toBe('');
});

describe('the README', () => {
  test('shows the output of its program', () => {
    const [printed = ''] = blocks('README.md', 'text');
    expect(undated(output)).toBe(undated(printed));
  });
});

describe('documentation pages', () => {
  test.each(programs)('$name runs', async ({ page, program }) => {
    const directory = WITH_README_DATABASE.includes(page)
      ? directories.get('README.md')!
      : project.directory(page);
    const { stderr, code } = await project.run(program, directory);
    expect(stderr).toBe('');
    expect(code ?? 0).toBe(0);
  });

  test.each(samples)('$name has the documented output', async ({ page, program, printed }) => {
    const { stdout, stderr, code } = await project.run(program, project.directory(page));
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
    const bin = `${process.execPath} ${join(project.package, 'dist/cli/bin.js')}`;
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
