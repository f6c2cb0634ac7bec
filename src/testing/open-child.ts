/**
 * A process that opens a storage when it receives a message, and stores one record: see the cases about processes.
 */

import type { StorageModule, StorageWriter } from '../storage/contract.ts';
import type { Summary } from '../summaries/define.ts';
import { TestJournal } from './batches.ts';
import { store } from './support.ts';

process.once('message', async (message) => {
  const { module, options, journal, summaries, closes } = message as {
    module: string;
    options: unknown;
    journal: string;
    summaries: Summary[];
    /** False if the process replies without closing the storage. */
    closes: boolean;
  };
  try {
    const { openWriter } = (await import(module)) as StorageModule;
    let writer: StorageWriter | undefined;
    const open = async () => {
      writer ??= await openWriter(options, { site: 'default', timeZone: 'UTC', durable: false });
      return writer;
    };
    await store(open, new TestJournal(journal, summaries).batch([{}]));
    if (closes) await writer?.close();
    process.send!('stored');
  } catch (error) {
    process.send!(String(error));
  }
});
process.send!('ready');
