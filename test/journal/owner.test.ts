import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listSegments } from '../../src/journal/directory.ts';
import { checkDirectory, checkJournal } from '../../src/journal/owner.ts';
import { SharedState } from '../../src/journal/shared.ts';
import { Journals } from '../../src/writer/thread/journals.ts';
import { appendRejected } from '../../src/writer/thread/reject-file.ts';
import { fieldsOf, names, openJournal, readDead, temporaryDirectory } from './support.ts';

const NOBODY = 65_534;

/** Leaves a journal in a directory as a process does that exits. */
function leave(directory: string): string {
  const { journal } = openJournal(directory);
  for (const url of names(0, 3)) journal.append(fieldsOf(url));
  journal.leave();
  return journal.path;
}

/** What another process adopts, and what it is told. */
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

/** Makes files as another user would. Only root can; the others see what everybody may write to, and links. */
const isRoot = process.geteuid?.() === 0;
const WAYS: [string, (path: string) => void][] = [
  ['everybody can write to', (path) => chmodSync(path, statSync(path).mode | 0o002)],
  ...(isRoot
    ? ([['belongs to another user', (path) => chownSync(path, NOBODY, NOBODY)]] as (typeof WAYS)[number][])
    : []),
];

describe.each(WAYS)('what %s', (_, spoil) => {
  test('is no directory of journals: nothing is written to it or adopted from it', () => {
    const directory = join(temporaryDirectory(), 'journals');
    leave(directory);
    spoil(directory);
    expect(() => checkDirectory(directory)).toThrow(expect.objectContaining({ code: 'JOURNAL_UNSAFE' }));
    expect(adopt(directory)).toEqual({ adopted: [], codes: ['JOURNAL_UNSAFE'] });
    const before = readdirSync(directory);
    const { journal, problems } = openJournal(directory);
    journal.append(fieldsOf('/'));
    expect(journal.state).toBe('memory');
    expect(problems.map(({ code }) => code)).toEqual(['JOURNAL_UNSAFE']);
    const rejected = { storage: 'memory', reason: 'none', record: {} as never };
    expect(() => appendRejected(join(directory, 'rejected.ndjson'), rejected)).toThrow(
      'may hold files of another user',
    );
    expect(readdirSync(directory)).toEqual(before);
  });

  test('is no journal, and the others are adopted', () => {
    const directory = temporaryDirectory();
    const [forged, genuine] = [leave(directory), leave(directory)];
    spoil(forged);
    expect(adopt(directory)).toEqual({ adopted: [genuine], codes: ['JOURNAL_FOREIGN'] });
    expect(readDead(forged).urls).toEqual(names(0, 3));
  });

  test.each(['segment', 'lock.db'])('is no file of a journal: %s', (name) => {
    const directory = temporaryDirectory();
    const path = leave(directory);
    writeFileSync(join(path, 'lock.db'), '');
    spoil(name === 'segment' ? listSegments(path)[0]!.path : join(path, name));
    expect(() => checkJournal(path)).toThrow(expect.objectContaining({ code: 'JOURNAL_FOREIGN' }));
    expect(adopt(directory)).toEqual({ adopted: [], codes: ['JOURNAL_FOREIGN'] });
  });
});

test('a link is neither a directory of journals, nor a journal, nor a file of one', () => {
  const elsewhere = temporaryDirectory();
  const path = leave(elsewhere);
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

test('the access of a group is taken back, as a volume of Kubernetes has it', () => {
  const directory = join(temporaryDirectory(), 'journals');
  const path = leave(directory);
  chmodSync(directory, 0o2770);
  chmodSync(path, 0o2770);
  chmodSync(listSegments(path)[0]!.path, 0o660);
  expect(adopt(directory)).toEqual({ adopted: [path], codes: [] });
  expect(statSync(directory).mode & 0o777).toBe(0o700);
});

test('the place of the directory may be open to everybody, as mounted volumes are', () => {
  const volume = temporaryDirectory();
  chmodSync(volume, 0o777);
  const directory = join(volume, 'journals');
  const path = leave(directory);
  expect(adopt(directory)).toEqual({ adopted: [path], codes: [] });
});
