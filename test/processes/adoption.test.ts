import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { journalsDirectory, listJournals, listSegments } from '../../src/journal/directory.ts';
import { SharedState } from '../../src/journal/shared.ts';
import { Journals } from '../../src/writer/thread/journals.ts';
import { fieldsOf, openJournal, temporaryDirectory } from '../journal/support.ts';
import { Load } from './client.ts';
import { App, expectExact, journalsIn, stored } from './support.ts';

/** Leaves a journal like that of a killed process. Returns its directory. */
function leaveJournal(directory: string, name: string, records: number): string {
  const { journal, problems } = openJournal(directory, {
    header: { site: 'default', serverName: 'default' },
  });
  for (let i = 0; i < records; i++) journal.append(fieldsOf(`http://127.0.0.1/${name}/${i}`));
  journal.close({ discard: false });
  expect(problems).toEqual([]);
  return journal.path;
}

/** Resolves when a journal was adopted: its owner closes it in the background. */
const adopted = (journals: Journals) =>
  expect
    .poll(() => {
      journals.adopt();
      return journals.all.length;
    })
    .toBe(2);

test('many processes start at once and compete for journals of dead ones: each is adopted once', async () => {
  const settings = { directory: temporaryDirectory() };
  // A process with the same site and storages shows where its journals are.
  const first = new App(settings);
  await first.waitFor('listening');
  const [own = ''] = journalsIn(join(settings.directory, 'journals'));
  const DEAD = 60;
  const RECORDS = 40;
  const left = Array.from({ length: DEAD }, (_, i) => leaveJournal(join(own, '..'), `${i}`, RECORDS));
  const rivals = [first, ...Array.from({ length: 7 }, () => new App(settings))];
  await Promise.all(rivals.map((rival) => rival.waitFor('listening')));
  await expect.poll(() => left.filter(existsSync), { timeout: 20_000 }).toEqual([]);
  const statuses = await Promise.all(rivals.map((rival) => rival.status()));
  expect(statuses.reduce((sum, { storages }) => sum + storages[0]!.adopted, 0)).toBe(DEAD * RECORDS);
  expect(statuses.map(({ journal }) => journal.state)).toEqual(rivals.map(() => 'file'));
  expect(statuses.flatMap(({ lastError }) => lastError ?? [])).toEqual([]);
  expect(statuses.map(({ journal }) => listSegments(journal.directory).length)).toEqual(rivals.map(() => 1));
  for (const rival of rivals) rival.kill('SIGKILL');
  await Promise.all(rivals.map(({ ended }) => ended));
  const { paths, hits } = await stored(settings);
  expect(new Set(paths).size).toBe(DEAD * RECORDS);
  expect({ records: paths.length, hits }).toEqual({ records: DEAD * RECORDS, hits: DEAD * RECORDS });
});

test('a journal that is being created is not adopted, and competing processes do not disturb each other', async () => {
  const directory = journalsDirectory(temporaryDirectory(), 'a race');
  mkdirSync(directory, { recursive: true });
  const adopters = Array.from({ length: 3 }, () =>
    fork(join(import.meta.dirname, 'adopter.ts'), [directory], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    }),
  );
  onTestFinished(() => {
    for (const adopter of adopters) adopter.kill('SIGKILL');
  });
  await Promise.all(adopters.map((adopter) => once(adopter, 'message')));
  const CREATED = 1_500;
  for (let i = 0; i < CREATED; i++) leaveJournal(directory, `${i}`, 1);
  await expect.poll(() => listJournals(directory).length, { timeout: 20_000 }).toBe(0);
  const told = await Promise.all(
    adopters.map((adopter) => {
      adopter.disconnect();
      return text(adopter.stdout!);
    }),
  );
  const results = told.map((result) => JSON.parse(result) as { deleted: number; thrown: string[] });
  expect(results.flatMap(({ thrown }) => thrown)).toEqual([]);
  expect(results.filter(({ deleted }) => deleted > 0).length).toBeGreaterThan(1);
});

test('a journal that cannot be deleted stays held, so that no process stores it again', async () => {
  const directory = temporaryDirectory();
  const left = leaveJournal(directory, 'left', 3);
  // Not even root can unlink a directory.
  const stubborn = join(left, '0000000000000000-0000000000001.log');
  mkdirSync(stubborn);
  const journals = new Journals(directory, 'f'.repeat(32), new SharedState(), [false], () => {});
  await adopted(journals);
  const [, held] = journals.all;
  expect(() => journals.discard(held!)).toThrow(expect.objectContaining({ code: 'JOURNAL_UNDELETED' }));
  expect(journals.all).toContain(held);
  const rival = new Journals(directory, 'e'.repeat(32), new SharedState(), [false], () => {});
  rival.adopt();
  expect(rival.all).toHaveLength(1);
  rmdirSync(stubborn);
  journals.discard(held!);
  expect(journals.all).toHaveLength(1);
  expect(existsSync(left)).toBe(false);
});

test('apps of another site or another storage share the directory, and adopt none of each other’s journals', async () => {
  const directory = temporaryDirectory();
  const journals = join(directory, 'journals');
  const shop = { directory, journals, site: 'shop' };
  const blog = { directory, journals, site: 'blog' };
  const other = { directory, journals, site: 'shop', database: join(directory, 'other.db') };
  const dead = new App(shop);
  const load = new Load(await dead.port());
  await load.more(200);
  dead.kill('SIGKILL');
  await dead.ended;
  await load.stop();
  const [left = ''] = journalsIn(journals);
  const strangers = [new App(blog), new App(other)];
  const loads = await Promise.all(strangers.map(async (app) => new Load(await app.port(), 4)));
  // Each looked for journals at its start, and does so every 3 s.
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  await Promise.all(loads.map((one) => one.stop()));
  for (const app of strangers) {
    expect((await app.status()).storages[0]!.adopted).toBe(0);
    expect(app.problems).toEqual([]);
    app.kill('SIGKILL');
    await app.ended;
  }
  expect(existsSync(left)).toBe(true);
  expect(journalsIn(journals)).toHaveLength(3);
  await expectExact(blog, loads[0]!);
  await expectExact(other, loads[1]!);
  expect(existsSync(left)).toBe(true);
  await expectExact(shop, load, { cut: true });
  expect(existsSync(left)).toBe(false);
});
