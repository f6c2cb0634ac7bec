import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Consumer, type RunOptions, run, serverHits } from './consumer.ts';
import { findNodes } from './nodes.ts';

const nodes = await findNodes();
const RESPONSES = ['hello', 'hello', 'hello'];
const HITS = [
  ['/', 2],
  ['/about', 1],
];
let consumer: Consumer;

beforeAll(async () => {
  consumer = await Consumer.create();
}, 120_000);
afterAll(() => consumer?.remove());

const lines = (stderr: string) => stderr.split('\n').filter((line) => line.startsWith('track-usage: '));

describe.each(nodes)('the permission model of Node $version', ({ version, path: node }) => {
  // Node 25 and later also restrict the network.
  const flags = [
    '--no-warnings',
    '--permission',
    ...(Number.parseInt(version, 10) >= 25 ? ['--allow-net'] : []),
  ];

  /** Runs the app in a new folder, with a folder `data` for its files. */
  async function runWith(name: string, ...granted: ((folders: { cwd: string; data: string }) => string)[]) {
    const cwd = consumer.folder(`${name}-${version}`, 'esm.mjs');
    const data = join(cwd, 'data');
    mkdirSync(data);
    const all = [...flags, ...granted.map((flag) => flag({ cwd, data })), 'esm.mjs'];
    const env = { JOURNAL: join(data, 'journal'), DATABASE: join(data, 'usage.db'), TIMEOUT: '5000' };
    const { stdout, stderr, code } = await run(all, { cwd, node, env });
    return { report: JSON.parse(stdout || '{}'), lines: lines(stderr), stderr, code, data };
  }
  const worker = () => '--allow-worker';
  const readAll = () => `--allow-fs-read=${consumer.directory}`;
  const writeData = ({ data }: { data: string }) => `--allow-fs-write=${data}`;

  test('tracks with the documented permissions', async () => {
    const result = await runWith('granted', worker, readAll, writeData);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.report).toMatchObject({ responses: RESPONSES, ready: null, hits: HITS, state: 'file' });
  });

  test('without --allow-worker, the app works, one error is reported, and records wait', async () => {
    const result = await runWith('no-worker', readAll, writeData);
    expect(result.report).toMatchObject({
      responses: RESPONSES,
      captured: 3,
      state: 'file',
      writerRestarts: 0,
    });
    expect(result.report).toMatchObject({ ready: 'PERMISSION_MISSING', hits: 'PERMISSION_MISSING' });
    expect(result.lines).toEqual([expect.stringMatching(/start Node with --allow-worker/)]);
    expect(existsSync(join(result.data, 'usage.db'))).toBe(false);
  });

  test('without --allow-fs-write, no thread writes a journal, and records reach SQLite through memory', async () => {
    const result = await runWith('no-write', worker, readAll);
    expect(result.report).toMatchObject({ responses: RESPONSES, captured: 3, state: 'memory', hits: HITS });
    expect(result.lines).toEqual([expect.stringMatching(/cannot write the journal in .*restricted/)]);
    expect(existsSync(join(result.data, 'journal'))).toBe(false);
  });
});

describe('a read-only directory', () => {
  /** Runs the app with these directories read-only. */
  async function runReadOnly(directories: string[], options: RunOptions) {
    const root = process.getuid?.() === 0;
    const mounts = directories.map(
      (_, index) => `mount --bind "$${index + 1}" "$${index + 1}"; mount -o remount,bind,ro "$${index + 1}";`,
    );
    const script = `set -e; ${mounts.join(' ')} cd .; shift ${directories.length}; exec "$@"`;
    const cwd = options.cwd!;
    const argv = [
      root ? '-m' : '-Urm',
      'sh',
      '-c',
      script,
      'sh',
      ...directories,
      process.execPath,
      join(cwd, 'esm.mjs'),
    ];
    const { code, stdout, stderr } = await run(argv, { ...options, node: 'unshare' });
    return { code, report: JSON.parse(stdout || '{}'), lines: lines(stderr) };
  }

  function otherDirectory(): string {
    const directory = mkdtempSync(join(tmpdir(), 'track-usage-test-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    return directory;
  }

  test('of the app: records reach a database in another directory through memory', async () => {
    const cwd = consumer.folder('read-only', 'esm.mjs');
    const DATABASE = join(otherDirectory(), 'usage.db');
    const { report, lines, code } = await runReadOnly([cwd], { cwd, env: { DATABASE } });
    expect(report).toMatchObject({
      responses: RESPONSES,
      ready: null,
      hits: HITS,
      captured: 3,
      state: 'memory',
    });
    expect(report.storage).toMatchObject({ ok: true, committed: 3 });
    expect(lines).toEqual([expect.stringMatching(/cannot write the journal in .*read-only/)]);
    expect(code).toBe(0);
  });

  test.each(['new', 'existing'])(
    'of a database that is %s: an error is reported, and records are stored later',
    async (kind) => {
      const cwd = consumer.folder(`read-only-database-${kind}`, 'esm.mjs');
      const databaseDirectory = otherDirectory();
      const env = { DATABASE: join(databaseDirectory, 'usage.db'), TIMEOUT: '2000' };
      if (kind === 'existing') await run(['esm.mjs'], { cwd, env });
      const { report, lines, code } = await runReadOnly([databaseDirectory], { cwd, env });
      expect(report).toMatchObject({ responses: RESPONSES, captured: 3, state: 'file' });
      expect(report.ready).toBe('ERR_SQLITE_ERROR');
      expect(report.storage).toMatchObject({
        ok: false,
        committed: 0,
        error: expect.stringMatching(/open|readonly/),
      });
      expect(lines[0]).toMatch(/cannot write to sqlite:.*usage.db/);
      expect(code).toBe(0);
      await run(['esm.mjs'], { cwd, env });
      expect(await serverHits(consumer, cwd, env.DATABASE)).toBe(kind === 'existing' ? 9 : 6);
    },
  );
});
