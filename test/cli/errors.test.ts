import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { replaceFile } from '../../src/cli/replace-file.ts';
import { withReader } from '../../src/cli/storage.ts';
import { checkExport } from '../../src/copy/export-format.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { SqliteReader } from '../../src/storages/sqlite/reader.ts';
import { run, temporaryDirectory, track } from './support.ts';

const FORMS =
  'use one of: sqlite:PATH, clickhouse://…, clickhouses://…, mongodb://…, mongodb+srv://…, redis://…, rediss://…, valkey://…, valkeys://…, postgres://…, postgresql://…, mysql://…, mariadb://…, a path that ends in .db, .sqlite or .sqlite3.';
const COMMANDS = [
  ...['sum', 'usage', 'copy', 'export', 'restore', 'backup', 'report', 'serve'],
  ...['status', 'verify', 'rebuild', 'forget', 'prune'],
];
const COPY = ['copy', '--from', 'a.db', '--to', 'b.db'];

test.each([
  [['sum', 'urls'], "required option '-s, --storage <storage>' not specified"],
  [['sum', '--storage', 'a.db'], "missing required argument 'name'"],
  [['sum', 'urls', 'remotes', '--storage', 'a.db'], /^too many arguments for 'sum'/],
  [
    ['sum', 'basic', '--storage', 'a.db'],
    /^summary is "basic"; expected one summary, or its name: urls, remotes, .*\.$/m,
  ],
  [
    ['sum', 'urls', '--storage', 'a.db', '--perod', 'day'],
    /^unknown option '--perod'; did you mean --period\?$/,
  ],
  // An option of another command.
  [['sum', 'urls', '--storage', 'a.db', '--rang', '7d'], /^unknown option '--rang'; use --help to list/],
  // Similar by the measure of the parser's library, and no help.
  [['sum', 'urls', '--storage', 'a.db', '--since', 'x'], /^unknown option '--since'; use --help to list/],
  [
    ['sum', 'urls', '--storage', 'a.db', '--period', 'week'],
    /^option '--period <period>' argument 'week' is invalid/,
  ],
  [['sum', 'urls', '--storage', 'a.db', '--target', 'a', '--target-null'], /cannot be used with/],
  [
    ['usage', '--storage', 'a.db', '--format', 'xml'],
    /^option '--format <format>' argument 'xml' is invalid/,
  ],
  [['usage', '--storage', 'a.db', '--limit', '-1'], /argument '-1' is invalid. Expected a whole number/],
  [['usage', '--storage', 'a.db', '--page', '0'], /argument '0' is invalid. Expected a whole number from 1/],
  [['usage', '--storage', 'a.db', '--page', 'x'], /argument 'x' is invalid. Expected a whole number/],
  [['usage', '--storage', 'oracle://host/usage'], `cannot open storage "oracle://host/usage"; ${FORMS}`],
  [['usage', '--storage', 'sqlite:'], `cannot open storage "sqlite:"; ${FORMS}`],
  [['usage', '--storage', 'usage.txt'], `cannot open storage "usage.txt"; ${FORMS}`],
  [['usage', '--storage', 'mysql://host:x/usage'], /^option "server" is an invalid URL; expected a URL/],
  [
    ['usage', '--storage', 'mysql://host/usage?prefix=1'],
    /^option "MysqlStorage.prefix" is "1"; expected up/,
  ],
  [['copy', '--from', 'a.db', '--to', 'b.txt'], `cannot open storage "b.txt"; ${FORMS}`],
  [
    ['copy', '--from', 'flask+oracle://host/app', '--to', 'b.db'],
    /^cannot open storage .*; use one of: flask\+sqlite:PATH, flask\+postgres:\/\/…, .*, flask\+mongodb\+srv:\/\/…\.$/,
  ],
  [
    ['copy', '--from', 'flask+sqlite:a.db', '--to', 'b.db', '--time-zone', 'Mars/X'],
    /^option '--time-zone <zone>' argument 'Mars\/X' is invalid\. Expected an IANA name such as "Europe\/Berlin"\.$/,
  ],
  [
    [...COPY, '--time-zone', 'UTC'],
    /^--time-zone is "UTC"; expected no value unless --from begins with flask/,
  ],
  [[...COPY, '--table', 'a b'], /^--table is "a b"; expected no value unless --from begins with flask/],
  [[...COPY, '--website', 'x'], /^--website is "x"; expected no value unless --from begins with flask/],
  [
    ['help', 'graph'],
    "unknown command 'graph'; use one of: sum, usage, copy, export, restore, backup, report, serve, status, verify, rebuild, forget, prune",
  ],
  [
    ['graph'],
    "unknown command 'graph'; use one of: sum, usage, copy, export, restore, backup, report, serve, status, verify, rebuild, forget, prune",
  ],
  [
    ['migrate'],
    "unknown command 'migrate'; use one of: sum, usage, copy, export, restore, backup, report, serve, status, verify, rebuild, forget, prune",
  ],
  [['usgae'], "unknown command 'usgae'; did you mean usage?"],
  [['reports'], "unknown command 'reports'; did you mean report?"],
] as const)('usage error: %j', async (argv, message) => {
  const { code, out, err } = await run(argv);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  const [, firstLine, rest] = /^track-usage: (.*)\n([\s\S]*)$/.exec(err)!;
  expect(firstLine).toSatisfy((text: string) =>
    typeof message === 'string' ? text === message : message.test(text),
  );
  expect(rest).toBe('');
});

test('prints the help to stderr without a command', async () => {
  const { code, out, err } = await run([]);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(/^Usage: track-usage \[options\] \[command\]\n/);
});

test('reports an unknown summary', async () => {
  await using directory = await temporaryDirectory();
  await using _app = await track(directory.path);
  const storage = `sqlite:${join(directory.path, 'usage.db')}`;
  expect(await run(['sum', 'nothing', '--storage', storage])).toMatchObject({
    code: 2,
    out: '',
    err: expect.stringMatching(/^track-usage: unknown summary "nothing"; use one of: urls, remotes, /),
  });
});

test('reports an invalid date', async () => {
  await using directory = await temporaryDirectory();
  await using _app = await track(directory.path);
  const storage = `sqlite:${join(directory.path, 'usage.db')}`;
  expect(await run(['usage', '--storage', storage, '--from', 'yesterday'])).toMatchObject({
    code: 2,
    out: '',
    err: expect.stringMatching(
      /^track-usage: from is "yesterday"; expected a date such as "[^;]*\+01:00"\.\n$/,
    ),
  });
});

test('does not create a missing database', async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, 'usage.db');
  for (const command of [['sum', 'urls'], ['usage']]) {
    expect(await run([...command, '--storage', `sqlite:${path}`])).toEqual({
      code: 1,
      out: '',
      err: `track-usage: no database found at ${path}; check the path or URL; a tracked app creates the database.\n`,
    });
  }
  expect(await readdir(directory.path)).toEqual([]);
});

test('reports a file that is not a track-usage database', async () => {
  await using directory = await temporaryDirectory();
  const at = (name: string) => join(directory.path, name);
  await writeFile(at('text.db'), 'This is the text of another program.\n'.repeat(100));
  using other = new DatabaseSync(at('other.sqlite'));
  other.exec('CREATE TABLE things (id INTEGER)');
  for (const name of ['text.db', 'other.sqlite']) {
    expect(await run(['usage', '--storage', at(name)])).toEqual({
      code: 1,
      out: '',
      err: `track-usage: ${at(name)} is not a track-usage database; use another file, database, prefix, schema or collection; nothing was changed.\n`,
    });
  }
  await mkdir(at('directory.db'));
  expect(await run(['usage', '--storage', at('directory.db')])).toEqual({
    code: 1,
    out: '',
    err: expect.stringMatching(
      /^track-usage: sqlite:.*directory\.db failed: .+: .*directory\.db is a directory; check that .+\n$/,
    ),
  });
});

describe('a file or server that cannot be used', () => {
  const DAMAGED = 'sqlite:@/damaged.db failed: database disk image is malformed; check that';
  const ABSENT = 'no such file or directory (ENOENT); c';
  const NOWHERE = `cannot write @/none/new.db: ${ABSENT}hoose another path`;
  const MODULE = '--module is "@/none.js"; expected a module with a key function: Cannot find module';

  // `@` stands for the directory.
  test.each([
    ['status --storage @/loop.db', 'sqlite:@/loop.db failed: too many symbolic links encountered (ELOOP); c'],
    ['sum urls --storage @/damaged.db', DAMAGED],
    ['verify --storage @/damaged.db', DAMAGED],
    ['serve --storage @/damaged.db', DAMAGED],
    ['backup --storage @/damaged.db --out @/new.db', 'the backup of @/damaged.db to @/new.db failed: '],
    ['backup --storage @/usage.db --out @/none/new.db', NOWHERE],
    ['backup --storage @/usage.db --out @/usage.db', 'cannot write @/usage.db: it exists already; c'],
    ['export --storage @/usage.db --out @/none/new.db', NOWHERE],
    ['report --storage @/usage.db --out @/none/new.db', NOWHERE],
    ['restore @/none --storage @/new.db', `cannot read @/none: ${ABSENT}heck the path`],
    [
      'restore @ --storage @/new.db',
      'cannot read @: illegal operation on a directory (EISDIR); check the path',
    ],
    ['copy --from @/none.db --to @/new.db', 'no database found at @/none.db; check the path'],
    ['copy --from @/damaged.db --to @/new.db', DAMAGED],
    [
      'copy --from @/usage.db --to @/none/new.db',
      'the copy from sqlite:@/usage.db to sqlite:@/none/new.db failed: unable to open database file: the directory @/none does not exist; c',
    ],
    [
      'sum urls --storage redis://:secret@127.0.0.1:1',
      'redis://:***@127.0.0.1:1 failed: connect ECONNREFUSED',
    ],
    ['verify --storage @/usage.db --summary x --module @/none.js', MODULE],
    ['rebuild --storage @/usage.db --summary x --module @/none.js', MODULE],
  ])('is named: %s', async (line, message) => {
    await using directory = await temporaryDirectory();
    const inDirectory = (text: string) => text.replaceAll(/@(?!127)/g, () => directory.path);
    await (await track(directory.path))[Symbol.asyncDispose]();
    await symlink('loop.db', join(directory.path, 'loop.db'));
    const bytes = await readFile(join(directory.path, 'usage.db'));
    await writeFile(join(directory.path, 'damaged.db'), bytes.fill(7, 4096));
    const { code, out, err } = await run(inDirectory(line).split(' '));
    expect(err.slice(0, 13 + inDirectory(message).length)).toBe(`track-usage: ${inDirectory(message)}`);
    // One line, without the contents of the URL that nobody may see.
    expect(err).toMatch(/^[^\n]+\n$/);
    expect(err).not.toContain('secret');
    expect([code, out]).toEqual([line.includes('--module') ? 2 : 1, '']);
    expect(existsSync(join(directory.path, 'new.db'))).toBe(false);
  });

  test('has a code', async () => {
    await using directory = await temporaryDirectory();
    const fails = (task: Promise<unknown>, code: ErrorCode) => expect(task).rejects.toMatchObject({ code });
    const file = join(directory.path, 'none', 'x');
    await fails(replaceFile(file, ''), 'FILE_UNWRITABLE');
    await fails(checkExport(file), 'FILE_UNREADABLE');
    await fails(
      withReader('redis://127.0.0.1:1', async () => 1),
      'STORAGE_UNUSABLE',
    );
  });
});

test('accepts an empty database', async () => {
  await using directory = await temporaryDirectory();
  await using _app = await track(directory.path);
  await writeFile(join(directory.path, 'new.db'), '');
  for (const name of ['usage.db', 'new.db']) {
    const storage = join(directory.path, name);
    for (const command of [['sum', 'urls'], ['usage']]) {
      expect(await run([...command, '--storage', storage, '--format', 'json'])).toEqual({
        code: 0,
        out: '[]\n',
        err: '',
      });
      expect(await run([...command, '--storage', storage])).toEqual({
        code: 0,
        out: '',
        err: expect.stringMatching(/^Nothing found: .*\n$/),
      });
    }
  }
});

test('reports an output error', async () => {
  const failing = (code: string) => () => Promise.reject(Object.assign(new Error(`write ${code}`), { code }));
  expect(await run(['--help'], { stdout: failing('EPIPE') })).toEqual({ code: 0, out: '', err: '' });
  expect(await run(['--help'], { stdout: failing('ENOSPC') })).toEqual({
    code: 1,
    out: '',
    err: expect.stringMatching(/^track-usage: cannot write the output: write ENOSPC; .*\n$/),
  });
});

test('distinguishes a lost database connection from a closed output', async () => {
  await using directory = await temporaryDirectory();
  await using _app = await track(directory.path);
  const lost = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
  for (const method of ['sums', 'usage'] as const) {
    const spy = vi.spyOn(SqliteReader.prototype, method).mockRejectedValue(lost);
    onTestFinished(() => spy.mockRestore());
  }
  for (const command of [['sum', 'urls'], ['usage']]) {
    const result = await run([...command, '--storage', join(directory.path, 'usage.db'), '--format', 'csv']);
    expect(result).toEqual({
      code: 1,
      out: '',
      err: expect.stringMatching(/^track-usage: sqlite:.*usage\.db failed: write EPIPE; .*\n$/),
    });
  }
});

test.each([[], ...COMMANDS.map((name) => [name])])('the help of %j fits 80 columns', async (...command) => {
  const { code, out } = await run([...command, '--help'], { columns: 80 });
  expect(code).toBe(0);
  expect(out).toMatch(/\nExamples:\n/);
  expect(out.split('\n').filter((line) => line.length > 80)).toEqual([]);
});
