import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeHead } from '../../src/journal/segment.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { NOON, TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';
import { lines, run, temporaryDirectory } from './support.ts';

const ADDRESS = '203.0.113.7';

async function fill(directory: string): Promise<string> {
  const path = join(directory, 'usage.db');
  const storage = new SqliteStorage(path, { hooks: ['remotes', 'visitors'] });
  const writer = await openWriter(storage);
  const records = [
    { remoteAddr: ADDRESS, visitor: 'v1' },
    { remoteAddr: ADDRESS, date: NOON - 3_600_000 },
    { remoteAddr: '10.0.0.1', url: `http://localhost/${ADDRESS}\u0007` },
  ];
  await writer.apply(new TestJournal('a', storage.summaries).batch(records));
  await writer.close();
  await storage.close();
  return path;
}

test('forget deletes a person, after it was confirmed', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  const command = ['forget', '--storage', path, '--remote', ADDRESS];
  const remaining = lines`
    Journals were not searched. To search them, add --journal with the directory of the journals.
    Other texts that contain the value, which are not deleted:
      url: http://localhost/203.0.113.7\x07
  `;
  expect(await run([...command, '--dry-run'])).toEqual({
    code: 0,
    out: `To delete: 2 records.\nTo delete: the key in 4 buckets of remotes, with 2 hits.\n${remaining}`,
    err: '',
  });
  expect(await run(command)).toEqual({
    code: 2,
    out: '',
    err: "track-usage: option '--yes' or '--dry-run' is required\n",
  });
  expect(await run([...command, '--yes'])).toEqual({
    code: 0,
    out: `Deleted: 2 records.\nDeleted: the key in 4 buckets of remotes, with 2 hits.\n${remaining}`,
    err: '',
  });
  expect((await run([...command, '--yes'])).out).toBe(`Nothing found.\n${remaining}`);
  const json = await run(['forget', '--storage', path, '--visitor', 'v1', '--yes', '--json']);
  expect(JSON.parse(json.out)).toEqual({
    ...{ records: 0, keys: [{ summary: 'visitors', buckets: 3, hits: 1 }], rejected: 0, batches: 0 },
    ...{ pending: [], stored: [], remaining: [] },
  });
});

test('forget names journals that no app has stored', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  const journal = join(directory.path, 'journals', '0123456789abcdef', 'a'.repeat(32));
  mkdirSync(journal, { recursive: true });
  const head = encodeHead({ site: 'default', serverName: '' });
  writeFileSync(
    join(journal, `${'0'.repeat(16)}-${'0'.repeat(13)}.log`),
    Buffer.concat([head, Buffer.from('jane')]),
  );
  const command = [
    'forget',
    '--storage',
    path,
    '--username',
    'jane',
    '--journal',
    join(directory.path, 'journals'),
  ];
  expect((await run([...command, '--dry-run'])).out).toContain(`Found in the journal ${journal}.\n`);
  const writer = await openWriter(new SqliteStorage(path));
  // The app has stored the record, and keeps the segment until it is full.
  await writer.apply({ ...new TestJournal('a'.repeat(32), []).batch([{}]) });
  await writer.close();
  const { code, out, err } = await run([...command, '--yes']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toContain(`The journal ${journal} contains copies of stored records.`);
});

test('a directory of journals that does not exist is refused, before anything is deleted', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  const journal = join(directory.path, 'misspelled');
  for (const command of [['forget', '--remote', ADDRESS, '--yes'], ['status']]) {
    const { code, out, err } = await run([...command, '--storage', path, '--journal', journal]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(`journal is "${journal}"; expected the directory of the journals, as in the app`);
  }
  const dry = await run(['forget', '--storage', path, '--remote', ADDRESS, '--dry-run']);
  expect(dry.out).toContain('To delete: 2 records.');
});

test.each([
  [[], /^track-usage: one of the options '--visitor', '--remote' and '--username' is required$/m],
  [['--visitor', 'a', '--remote', 'b'], /cannot be used with/],
  [['--visitor', ''], /^track-usage: option "forget.person.value" is ""; expected a nonempty string\.$/m],
])('forget refuses %j', async (options, message) => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  const { code, err } = await run(['forget', '--storage', path, '--yes', ...options]);
  expect(code).toBe(2);
  expect(err).toMatch(message);
});
