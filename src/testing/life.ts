import { deepStrictEqual as equal } from 'node:assert';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { moduleUrl } from '../platform/threads.ts';
import { sumUrls } from '../summaries/standard.ts';
import { TestJournal } from './batches.ts';
import type { Subject, TestCase } from './subject.ts';
import { at, openWriter, rows, store, usage } from './support.ts';
import { trackedServer } from './tracked-server.ts';

const PROCESSES = 10;

/** Batches, positions, several writers and processes, and a whole app. */
export function lifeCases(subject: Subject): TestCase[] {
  const cases: TestCase[] = [
    {
      name: 'batches: a location without data gives empty answers',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          // The command line treats a missing database as an error.
          const before = await location.openClient(storage, { url: undefined });
          equal(await usage(before), []);
          equal(await before.sums('urls', { period: 'day' }), []);
          equal(await storage.getSum(sumUrls), { hour: [], day: [], month: [] });
          const writer = location.keep(await openWriter(storage));
          equal(await writer.position('a'.padEnd(32, '0')), undefined);
          const client = await location.openClient(storage);
          equal(await usage(client), []);
          equal(await client.sums('urls', { period: 'day' }), []);
          const other = await location.openClient(location.storage([]));
          equal(await other.site({ site: 'elsewhere' }), {
            site: 'elsewhere',
            timeZone: 'UTC',
            summaries: [],
            since: null,
            retention: [],
          });
        }),
    },
    {
      name: 'batches: each is stored once, from where the one before ended',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const writer = location.keep(await openWriter(storage));
          const journal = new TestJournal('a', storage.summaries);
          const first = journal.batch([{}, {}]);
          const second = journal.batch([{}]);
          const nothing = journal.batch([]);
          equal(await writer.apply(second), false, 'the first one is missing');
          equal(await writer.apply(first), true);
          equal(await writer.apply(first), false, 'it is stored already');
          equal({ ...(await writer.position(journal.id)) }, first.to);
          equal(await writer.apply(nothing), false, 'the second one is missing');
          equal(await writer.apply(second), true);
          equal(await writer.apply(nothing), true, 'a batch without records');
          equal(await writer.apply(first), false);
          equal(await writer.apply(second), false);
          equal({ ...(await writer.position(journal.id)) }, nothing.to);
          const positionOf = async (id: string) => {
            const found = await storage.reader.position({ site: 'default', journal: id });
            return found === null || found === undefined ? found : { ...found };
          };
          // The reading end may not know it.
          const found = await positionOf(journal.id);
          if (found !== null) {
            equal(found, nothing.to);
            equal(await positionOf('b'.padEnd(32, '0')), undefined);
          }
          const client = await location.openClient(storage);
          equal(await rows(client, 'urls'), [['http://localhost/', 3, 15, 0, 4500]]);
          equal((await usage(client)).length, 3);
          // Each journal has a separate position.
          equal(await writer.position('b'.padEnd(32, '0')), undefined);
          await writer.forget(journal.id);
          equal(await writer.position(journal.id), undefined);
          if (found !== null) equal(await positionOf(journal.id), undefined);
          equal(await rows(client, 'urls'), [['http://localhost/', 3, 15, 0, 4500]]);
        }),
    },
    {
      name: 'batches: a writer continues where the previous one stopped',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const journal = new TestJournal('a', storage.summaries);
          for (let n = 1; n <= 3; n++) {
            const writer = await openWriter(storage);
            const batch = journal.batch([{}]);
            equal((await writer.position(journal.id))?.position ?? 0, batch.from.position);
            equal(await writer.apply(batch), true);
            await writer.close();
            await writer.close();
            const client = await location.openClient(location.storage([]));
            equal(await rows(client, 'urls'), [['http://localhost/', n, 5 * n, 0, 1500 * n]]);
          }
        }),
    },
    {
      name: 'batches: thousands of records with as many keys',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const writer = location.keep(await openWriter(storage));
          const journal = new TestJournal('a', storage.summaries);
          // More than an engine reads or writes with one message.
          const count = Math.max(2_500, 10_000 * (subject.share ?? 1));
          const records = Array.from({ length: count }, (_, n) => ({ url: `http://localhost/${n}` }));
          equal(await writer.apply(journal.batch(records)), true);
          equal(await writer.apply(journal.batch(records.slice(count / 2))), true);
          const found = await rows(await location.openClient(storage, { rows: 1_000 }), 'urls', 'hour');
          equal(found.length, count);
          equal(found.filter(([, hits]) => hits === 2).length, count / 2);
        }),
    },
    {
      name: 'batches: three writers add to the same keys at the same time',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls, 'remotes']);
          const keys = Array.from({ length: 200 }, (_, n) => `http://localhost/${n}`);
          const rounds = Math.max(3, 10 * (subject.share ?? 1));
          const work = async (id: string, urls: string[]) => {
            const writer = location.keep(await openWriter(location.storage([sumUrls, 'remotes'])));
            const journal = new TestJournal(id, storage.summaries);
            for (let n = 0; n < rounds; n++) {
              await store(
                async () => writer,
                journal.batch(urls.map((url) => ({ url, remoteAddr: url.slice(17) }))),
              );
            }
          };
          // In opposite orders: writers that lock row by row would deadlock.
          await Promise.all([work('a', keys), work('b', [...keys].reverse()), work('c', keys)]);
          const client = await location.openClient(storage);
          for (const summary of ['urls', 'remotes']) {
            const found = await rows(client, summary, 'month');
            equal(found.length, keys.length);
            equal(
              found.filter(([, hits]) => hits !== 3 * rounds),
              [],
            );
          }
        }),
    },
    {
      name: 'an app: its requests are stored, and its queries answered',
      run: () =>
        at(subject, async (location) => {
          for (let start = 1; start <= 2; start++) {
            const hooked: string[] = [];
            const storage = location.storage(['basic', 'status', ({ path }) => void hooked.push(path)]);
            await using app = await trackedServer(storage);
            await app.usage.ready();
            for (let n = 0; n < 5; n++) await app.get(`/page/${n}`);
            await app.usage.flush();
            const status = await app.usage.getSum('status', { period: 'month' });
            equal(
              status.map(({ key, hits, transfer }) => [key, hits, transfer]),
              [['200', 5 * start, 25 * start]],
            );
            const [newest] = await app.usage.getUsage({ limit: 1 });
            equal(newest?.path, '/page/4');
            await app.usage.close();
            equal(hooked, ['/page/0', '/page/1', '/page/2', '/page/3', '/page/4']);
          }
        }),
    },
  ];
  if (!subject.cannot?.processes) cases.push(manyProcesses(subject), killedProcess(subject));
  return cases;
}

function manyProcesses(subject: Subject): TestCase {
  return {
    name: `processes: ${PROCESSES} create an empty location at the same moment`,
    run: () => storeInProcesses(subject, PROCESSES, true),
  };
}

function killedProcess(subject: Subject): TestCase {
  return {
    name: 'processes: a batch is stored when `apply` resolves, even if the process is killed then',
    run: () => storeInProcesses(subject, 1, false),
  };
}

/**
 * Stores one record from each of several processes.
 * @param closes False if the processes are killed as soon as the record is stored.
 */
function storeInProcesses(subject: Subject, count: number, closes: boolean): Promise<void> {
  return at(subject, async (location) => {
    const storage = location.storage([sumUrls]);
    // A client object cannot be sent to another process.
    if (storage.module === undefined) return;
    const file = fileURLToPath(moduleUrl('../testing/open-child', import.meta.url));
    const children = Array.from({ length: count }, () =>
      fork(file, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
    );
    try {
      await Promise.all(children.map((child) => once(child, 'message')));
      const answers = children.map((child) => once(child, 'message'));
      for (const [n, child] of children.entries()) {
        child.send({
          module: storage.module,
          options: storage.threadOptions(),
          journal: `a${n}`,
          summaries: storage.summaries,
          closes,
        });
      }
      for (const [answer] of await Promise.all(answers)) equal(answer, 'stored');
    } finally {
      const ends = children.map((child) => child.exitCode ?? once(child, 'exit'));
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(ends);
    }
    equal(await rows(await location.openClient(storage), 'urls'), [
      ['http://localhost/', count, 5 * count, 0, 1500 * count],
    ]);
  });
}
