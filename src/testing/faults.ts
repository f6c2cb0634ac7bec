import { deepStrictEqual as equal, ok } from 'node:assert';
import type { StorageWriter } from '../storage/contract.ts';
import { sumUrls } from '../summaries/standard.ts';
import { TestJournal } from './batches.ts';
import { type Cut, CuttingProxy } from './proxy.ts';
import type { Subject, TestCase, TestServer } from './subject.ts';
import { at, openWriter, rows, store, usage } from './support.ts';
import { trackedServer } from './tracked-server.ts';

/** More messages than any engine needs to open a connection and to store a batch. */
const MAX_MESSAGES = 200;

/** Lost connections and stopped servers. */
export function faultCases(subject: Subject): TestCase[] {
  const { server } = subject;
  if (!server) return [];
  return [
    cutAtEveryMessage(subject, server, 'before'),
    cutAtEveryMessage(subject, server, 'after'),
    {
      name: 'faults: the server is stopped and started',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const writer = location.keep(await openWriter(storage));
          const journal = new TestJournal('a', storage.summaries);
          await store(async () => writer, journal.batch([{}, {}]));
          await server.stop();
          await Promise.all([server.start(), store(async () => writer, journal.batch([{}]))]);
          equal(await rows(await location.openClient(storage), 'urls'), [
            ['http://localhost/', 3, 15, 0, 4500],
          ]);
        }),
    },
    {
      name: 'faults: an app keeps recording while the server is down, and catches up afterwards',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage(['status']);
          await using app = await trackedServer(storage);
          for (let n = 0; n < 5; n++) await app.get('/');
          await app.usage.flush();
          await server.stop();
          try {
            for (let n = 0; n < 5; n++) await app.get('/');
            const wrong = async () => {
              for (;;) {
                const [status] = app.usage.status().storages;
                if (status!.error && !status!.ok) return status!;
                await new Promise((resolve) => setTimeout(resolve, 20));
              }
            };
            const status = await wrong();
            equal([status.committed, status.lag.records], [5, 5]);
          } finally {
            await server.start();
          }
          await app.usage.flush({ timeout: 60_000 });
          const [row] = await app.usage.getSum('status', { period: 'month' });
          equal([row?.key, row?.hits], ['200', 10]);
          equal(app.usage.status().storages[0]?.ok, true);
        }),
    },
  ];
}

function cutAtEveryMessage(subject: Subject, server: TestServer, how: Cut): TestCase {
  return {
    name: `faults: the connection is lost ${how} the server got a message, at every message`,
    run: () =>
      at(subject, async (location) => {
        const proxy = await CuttingProxy.start(server.port);
        try {
          const through = location.storage([sumUrls, 'remotes'], proxy.port);
          const journal = new TestJournal('a', through.summaries);
          // One client for all queries: opening one takes as many messages as storing a batch.
          const client = await location.openClient(location.storage([]));
          let hits = 0;
          for (let at = 0; at < MAX_MESSAGES; at++) {
            let writer: StorageWriter | undefined;
            const open = async () => {
              writer ??= await openWriter(through);
              return writer;
            };
            proxy.arm(at, how);
            const failures = await store(
              open,
              journal.batch([{ remoteAddr: '::1' }, {}, { url: `http://localhost/${at % 3}` }]),
            );
            hits += 3;
            await writer?.close();
            const found = await rows(client, 'urls', 'month');
            equal(
              found.reduce((sum, [, each]) => sum + (each as number), 0),
              hits,
              `cut at message ${at}`,
            );
            if (failures === 0 && proxy.messages <= at) break;
            ok(at < MAX_MESSAGES - 1, 'a batch takes more messages than expected');
          }
          equal((await rows(client, 'remotes', 'month'))[0]?.[1], (hits * 2) / 3);
          if (!subject.cannot?.records) equal((await usage(client)).length, hits);
        } finally {
          await proxy.close();
        }
      }),
  };
}
