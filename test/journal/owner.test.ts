import fs, {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { listSegments } from '../../src/journal/directory.ts';
import { checkDirectory, checkJournal } from '../../src/journal/owner.ts';
import { SharedState } from '../../src/journal/shared.ts';
import { Journals } from '../../src/writer/thread/journals.ts';
import { appendRejected } from '../../src/writer/thread/reject-file.ts';
import { fieldsOf, openJournal, readOrphan, temporaryDirectory, urlRange } from './support.ts';

const NOBODY = 65_534;

/** Writes a journal and leaves it in a directory, as a process that exits does. */
function leaveJournal(directory: string): string {
  const { journal } = openJournal(directory);
  for (const url of urlRange(0, 3)) journal.append(fieldsOf(url));
  journal.leave();
  return journal.path;
}

/** Returns the journals that another process adopts, and the codes of its problems. */
function adopt(directory: string) {
  const codes: string[] = [];
  const journals = new Journals(directory, 'f'.repeat(32), new SharedState(), [false], ({ code }) =>
    codes.push(code),
  );
  journals.adopt();
  const adopted = journals.all.slice(1).map((journal) => journal.directory);
  journals.release();
  return { adopted, codes };
}

/** Makes files unsafe. Only root can change their owner. */
const isRoot = process.geteuid?.() === 0;
const UNSAFE_CHANGES: [string, (path: string) => void][] = [
  ['is world-writable', (path) => chmodSync(path, statSync(path).mode | 0o002)],
  ...(isRoot
    ? ([
        ['belongs to another user', (path) => chownSync(path, NOBODY, NOBODY)],
      ] as (typeof UNSAFE_CHANGES)[number][])
    : []),
];

describe.each(UNSAFE_CHANGES)('a file or directory that %s', (_, makeUnsafe) => {
  test('is not used as a directory of journals: nothing is written to it or adopted from it', () => {
    const directory = join(temporaryDirectory(), 'journals');
    leaveJournal(directory);
    makeUnsafe(directory);
    expect(() => checkDirectory(directory)).toThrow(expect.objectContaining({ code: 'JOURNAL_UNSAFE' }));
    expect(adopt(directory)).toEqual({ adopted: [], codes: ['JOURNAL_UNSAFE'] });
    const before = readdirSync(directory);
    const { journal, problems } = openJournal(directory);
    journal.append(fieldsOf('/'));
    expect(journal.state).toBe('memory');
    expect(problems.map(({ code }) => code)).toEqual(['JOURNAL_UNSAFE']);
    const rejected = { storage: 'memory', reason: 'none', record: {} as never };
    expect(() => appendRejected(join(directory, 'rejected.ndjson'), rejected)).toThrow(
      'may contain files of another user',
    );
    expect(readdirSync(directory)).toEqual(before);
  });

  test('is not adopted as a journal, and the other journals are', () => {
    const directory = temporaryDirectory();
    const [forged, genuine] = [leaveJournal(directory), leaveJournal(directory)];
    makeUnsafe(forged);
    expect(adopt(directory)).toEqual({ adopted: [genuine], codes: ['JOURNAL_FOREIGN'] });
    expect(readOrphan(forged).urls).toEqual(urlRange(0, 3));
  });

  test.each(['segment', 'lock.db'])('makes its journal unsafe: %s', (name) => {
    const directory = temporaryDirectory();
    const path = leaveJournal(directory);
    writeFileSync(join(path, 'lock.db'), '');
    makeUnsafe(name === 'segment' ? listSegments(path)[0]!.path : join(path, name));
    expect(() => checkJournal(path)).toThrow(expect.objectContaining({ code: 'JOURNAL_FOREIGN' }));
    expect(adopt(directory)).toEqual({ adopted: [], codes: ['JOURNAL_FOREIGN'] });
  });
});

test('does not follow a link to a directory of journals, a journal, or a file of a journal', () => {
  const elsewhere = temporaryDirectory();
  const path = leaveJournal(elsewhere);
  const directory = join(temporaryDirectory(), 'journals');
  symlinkSync(elsewhere, directory);
  expect(openJournal(directory).problems.map(({ code }) => code)).toEqual(['JOURNAL_UNSAFE']);
  const other = join(temporaryDirectory(), 'journals');
  mkdirSync(other, { mode: 0o700 });
  symlinkSync(path, join(other, '0'.repeat(32)));
  expect(adopt(other)).toEqual({ adopted: [], codes: ['JOURNAL_FOREIGN'] });
  symlinkSync('/dev/null', join(path, 'lock.db'));
  expect(adopt(elsewhere)).toEqual({ adopted: [], codes: ['JOURNAL_FOREIGN'] });
});

test('removes group access, which Kubernetes volumes have', () => {
  const directory = join(temporaryDirectory(), 'journals');
  const path = leaveJournal(directory);
  chmodSync(directory, 0o2770);
  chmodSync(path, 0o2770);
  chmodSync(listSegments(path)[0]!.path, 0o660);
  expect(adopt(directory)).toEqual({ adopted: [path], codes: [] });
  expect(statSync(directory).mode & 0o777).toBe(0o700);
});

test('accepts a world-writable parent directory, as mounted volumes are', () => {
  const volume = temporaryDirectory();
  chmodSync(volume, 0o777);
  const directory = join(volume, 'journals');
  const path = leaveJournal(directory);
  expect(adopt(directory)).toEqual({ adopted: [path], codes: [] });
});

test('owners and modes mean nothing on a file system that reports the same for every file', () => {
  const parent = temporaryDirectory();
  const directory = join(parent, 'journals');
  const path = leaveJournal(directory);
  const functions = fs as { lstatSync: unknown };
  const { lstatSync } = fs;
  functions.lstatSync = ((...args: Parameters<typeof lstatSync>) => {
    const stats = lstatSync(...args)!;
    stats.mode = Number(stats.mode) | 0o777;
    return stats;
  }) as typeof lstatSync;
  syncBuiltinESMExports();
  try {
    checkDirectory(directory);
    checkJournal(path);
  } finally {
    functions.lstatSync = lstatSync;
    syncBuiltinESMExports();
  }
  // The probes are removed.
  expect(readdirSync(parent)).toEqual(['journals']);
  expect(readdirSync(directory)).toHaveLength(1);
});

test('files of the user of the process and of root are accepted', () => {
  const directory = join(temporaryDirectory(), 'journals');
  const path = leaveJournal(directory);
  const geteuid = vi.spyOn(process, 'geteuid');
  onTestFinished(() => geteuid.mockRestore());
  if (isRoot) geteuid.mockReturnValue(NOBODY);
  checkDirectory(directory);
  checkJournal(path);
  if (!isRoot) return;
  for (const file of [directory, path, listSegments(path)[0]!.path]) chownSync(file, NOBODY, NOBODY);
  checkDirectory(directory);
  checkJournal(path);
});
